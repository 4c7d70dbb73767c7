"""Tasks: LightningModules, fitting, validation scores, run folders and trained files."""

from ..choices import AUTO
from .adaptation import Full, Lora, layers
from .base import START, VisionTask
from .build import build, predict_logits
from .classification import ClassificationTask
from .fit import Fitted, fit
from .frozen import examine_labels, examine_symmetry
from .imbalance import Imbalance
from .lines import read_lines
from .multilabel import MultilabelTask
from .ordinal import OrdinalTask
from .precision import choose_precision
from .progress import can_resume, require_unfinished
from .regression import RegressionTask
from .restore import Trained, metadata, read_trained
from .run_folder import is_trained, point_latest, require_name, require_new, run_folder
from .schedule import warmup_cosine
from .setting import Setting
from .stopping import EarlyStopping
from .task_spec import frequencies, require_learnt, require_order, task_spec
from .trainer import TrainerOptions
from .used_data import (
    note_data,
    require_own_cut,
    require_own_images,
    require_same_cut,
    require_same_images,
    require_unseen,
    used_data,
)
from .views import read_views

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
    "task_spec",
    "used_data",
    "warmup_cosine",
]
