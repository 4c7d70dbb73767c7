"""Tasks: what is trained, how it is scored, and how a trained file becomes a model again."""

from src.tasks.adaptation import Full, Lora
from src.tasks.base import Setting, VisionTask, layers
from src.tasks.build import build, predict_logits
from src.tasks.classification import ClassificationTask
from src.tasks.fit import Fitted, fit
from src.tasks.frozen import examine_labels
from src.tasks.precision import choose_precision
from src.tasks.restore import Trained, metadata, read_trained
from src.tasks.schedule import warmup_cosine

__all__ = [
    "ClassificationTask",
    "Fitted",
    "Full",
    "Lora",
    "Setting",
    "Trained",
    "VisionTask",
    "build",
    "choose_precision",
    "examine_labels",
    "fit",
    "layers",
    "metadata",
    "predict_logits",
    "read_trained",
    "warmup_cosine",
]
