"""Tasks: what is trained, how it is scored, and how a trained file becomes a model again."""

from src.tasks.adaptation import Full, Lora
from src.tasks.base import Setting, VisionTask, layers
from src.tasks.build import build, predict_logits
from src.tasks.classification import ClassificationTask
from src.tasks.fit import Fitted, can_resume, fit
from src.tasks.frozen import examine_labels
from src.tasks.imbalance import Imbalance
from src.tasks.lines import read_lines
from src.tasks.memory import keep_freed_memory
from src.tasks.multilabel import MultilabelTask
from src.tasks.ordinal import OrdinalTask
from src.tasks.precision import choose_precision
from src.tasks.regression import RegressionTask
from src.tasks.restore import Trained, metadata, read_trained
from src.tasks.schedule import warmup_cosine
from src.tasks.specify import frequencies, require_learnt, require_order, specify
from src.tasks.trainer import TrainerOptions
from src.tasks.used_data import note_data, require_own_cut, require_same_data, require_unseen, used_data

__all__ = [
    "ClassificationTask",
    "Fitted",
    "Full",
    "Imbalance",
    "Lora",
    "MultilabelTask",
    "OrdinalTask",
    "RegressionTask",
    "Setting",
    "Trained",
    "TrainerOptions",
    "VisionTask",
    "build",
    "can_resume",
    "choose_precision",
    "examine_labels",
    "fit",
    "frequencies",
    "keep_freed_memory",
    "layers",
    "metadata",
    "note_data",
    "predict_logits",
    "read_lines",
    "read_trained",
    "require_learnt",
    "require_order",
    "require_own_cut",
    "require_same_data",
    "require_unseen",
    "specify",
    "used_data",
    "warmup_cosine",
]
