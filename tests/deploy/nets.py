"""Networks, pictures and records that the tests of the edge bundle share."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from src.deploy.gate import Verdict
from src.deploy.limits import Limits
from src.deploy.parity import Parity
from src.spec import ImageSpec, TaskSpec

IMAGE = ImageSpec((24, 32), (0.5, 0.4, 0.3), (0.25, 0.3, 0.2), "bilinear", 0.9, "center")
TASK = TaskSpec("classification", ("bad", "good"), "bad", ("identity", "horizontal"))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Attention(nn.Module):
    """Patches, one head of attention and a classifier."""

    def __init__(self):
        super().__init__()
        self.patch, self.qkv = nn.Conv2d(3, 32, 8, 8), nn.Linear(32, 96)
        self.out, self.neck, self.head = nn.Linear(32, 32), nn.Linear(32, 48), nn.Linear(48, 2)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).chunk(3, dim=2)
        x = x + self.out((q @ k.transpose(1, 2)).softmax(dim=2) @ v)
        return self.head(self.neck(x.mean(dim=1)))


def conv_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU()),
        Residual(nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 16, 1))),
        *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU6()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    ).eval()


def plain(model):
    """Return a network without adapters as it is, where others are merged."""
    return model


def attention_net(seed=0):
    torch.manual_seed(seed)
    return Attention().eval()


def pixels(count, seed=0, image=IMAGE):
    """Smooth pictures of many brightnesses, as the network takes them."""
    return np.stack([np.array(picture(seed * 1000 + i).resize(image.size[::-1])) for i in range(count)])


def picture(seed, size=(40, 36)):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 5, 3)) * random.uniform(0.2, 1)
    return Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def saved(folder, count, start=0):
    """Write pictures, and return path and class name of each."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{start + i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        picture(start + i).save(path)
    return [(path, TASK.classes[i % 2]) for i, path in enumerate(paths)]


def parity(stage="fp32", diff=0.0, accuracy=1.0, limits=None, changed=0):
    figures = (1.0, accuracy, None, None, 1.0, accuracy)
    return Parity(stage, "val", 100, diff, diff, 1.0, changed, *figures, (), limits or Limits())


def verdict():
    return Verdict("fp32", (parity("merged"), parity()))
