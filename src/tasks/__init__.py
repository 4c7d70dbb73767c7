"""Tasks: what is trained, how it is scored, and how a trained file becomes a model again."""

from src.tasks.adaptation import Full, Lora
from src.tasks.base import START, Setting, VisionTask, layers
from src.tasks.build import build, predict_logits
from src.tasks.classification import ClassificationTask
from src.tasks.fit import Fitted, fit
from src.tasks.frozen import examine_labels, examine_symmetry
from src.tasks.imbalance import Imbalance
from src.tasks.lines import read_lines
from src.tasks.multilabel import MultilabelTask
from src.tasks.ordinal import OrdinalTask
from src.tasks.precision import choose_precision
from src.tasks.progress import can_resume, require_unfinished
from src.tasks.regression import RegressionTask
from src.tasks.restore import Trained, metadata, read_trained
from src.tasks.run_folder import is_trained, point_latest, require_name, require_new, run_folder
from src.tasks.schedule import warmup_cosine
from src.tasks.specify import frequencies, require_learnt, require_order, specify
from src.tasks.stopping import EarlyStopping
from src.tasks.trainer import AUTO, TrainerOptions
from src.tasks.used_data import (
    note_data,
    require_own_cut,
    require_own_images,
    require_same_cut,
    require_same_images,
    require_unseen,
    used_data,
)
from src.tasks.views import read_views

__all__ = [
    "AUTO",
    "START",
    "ClassificationTask",
    "EarlyStopping",
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
    "examine_symmetry",
    "fit",
    "frequencies",
    "is_trained",
    "layers",
    "metadata",
    "note_data",
    "point_latest",
    "predict_logits",
    "read_lines",
    "read_trained",
    "read_views",
    "require_learnt",
    "require_name",
    "require_new",
    "require_order",
    "require_own_cut",
    "require_own_images",
    "require_same_cut",
    "require_same_images",
    "require_unfinished",
    "require_unseen",
    "run_folder",
    "specify",
    "used_data",
    "warmup_cosine",
]
