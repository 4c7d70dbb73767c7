"""The ways people train: each leaves the adapted model equal to a reference that does without."""

import copy
import weakref

import pytest
import timm
import torch
import torch.distributed as dist
import torch.nn.functional as F
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from src.lora import inject, injection_of, merge
from tests.lora.conftest import MODELS, build, dense_gradients, gradients, images, outputs, relative, stir

TOLERANCE = 1e-5
LABELS = torch.tensor([0, 3, 1, 4])


def adapted(key: str = "vit", **options) -> nn.Module:
    model = build(key)
    torch.manual_seed(3)
    inject(model, rank=4, **options)
    stir(model)
    return model


def grads(model, x, labels, **options):
    """Return the gradients of the mean loss over `x`, added to what is there."""
    F.cross_entropy(model(x, **options), labels).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close(actual, expected, tolerance=TOLERANCE):
    assert set(actual) == set(expected)
    for name, value in actual.items():
        assert relative(value, expected[name]) <= tolerance, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_evaluates_the_merged_weight_bit_for_bit(base, dtype):
    x = images(base)
    inject(base, rank=4, fold_norms=False)
    stir(base)
    with torch.autocast("cpu", dtype=dtype):
        evaluated = outputs(base, x)
        merge(base)
        assert torch.equal(evaluated, outputs(base, x))


def test_a_step_computes_what_an_evaluation_does(base):
    x, threads = images(base), torch.get_num_threads()
    inject(base, rank=4)
    stir(base)
    torch.set_num_threads(2)  # with one, oneDNN rounds some fused ReLUs in another order
    try:
        assert torch.equal(base(x).detach(), outputs(base, x))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("key", [*MODELS, "efficientnet"])
def test_autocast_gradients_of_every_layer_are_as_near_to_the_exact_ones_as_autograds(key, dtype):
    model = adapted(key)
    x, layers = images(model), {}
    exact = gradients(model, x)
    with torch.autocast("cpu", dtype=dtype):
        ours, autograds = gradients(model, x), dense_gradients(model, x)
    assert all(gradient.dtype == torch.float32 for gradient in ours.values())
    for name in exact:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    for layer, names in layers.items():
        mine, theirs = (sum(float((g[n] - exact[n]).norm()) ** 2 for n in names) ** 0.5 for g in (ours, autograds))
        least = torch.finfo(dtype).eps * sum(float(exact[n].norm()) ** 2 for n in names) ** 0.5  # theirs may be luck
        # W is rounded, then W + B A: at worst twice the rounding. The rest is scatter of two images (2.6 measured).
        assert mine <= 3 * max(theirs, least), layer


def test_accumulated_gradients_are_those_of_the_whole_batch(base):
    x = images(base, 4)
    inject(base, rank=4)
    stir(base)
    whole = grads(base, x, LABELS)
    base.zero_grad()
    for part in (slice(0, 2), slice(2, 4)):
        parts = {name: g / 2 for name, g in grads(base, x[part], LABELS[part]).items()}
    assert_close(parts, whole)


@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "test_resnet", "test_convnext", "test_efficientnet"])
def test_an_empty_batch_is_taken_as_by_the_plain_model(name):
    model = timm.create_model(name, num_classes=5)
    inject(model, rank=2, alpha=4)
    out = model(torch.randn(0, *model.pretrained_cfg["input_size"]))
    out.sum().backward()
    assert out.shape == (0, 5)
    assert all(not p.grad.any() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_gradients_are_the_same(base, reentrant):
    """Bit for bit where the first pass records gradients too; a reentrant one evaluates, in other products."""
    x = images(base).requires_grad_()
    inject(base, rank=4)
    stir(base)
    plain = grads(base, x, LABELS[:2])
    base.zero_grad()
    F.cross_entropy(checkpoint(base, x, use_reentrant=reentrant), LABELS[:2]).backward()
    checkpointed = {name: p.grad for name, p in base.named_parameters() if p.grad is not None}
    assert_close(checkpointed, plain, TOLERANCE if reentrant else 0.0)


def test_timms_own_checkpointing_is_too():
    for name in ("test_vit", "test_efficientnet", "test_resnet"):  # the second clamps in place
        model = timm.create_model(name, num_classes=5).eval()
        x = images(model)
        inject(model, rank=4)
        stir(model)
        plain = gradients(model, x)
        model.set_grad_checkpointing()
        assert all(torch.equal(g, plain[name]) for name, g in gradients(model, x).items())


@pytest.mark.parametrize(
    ("key", "backend"),
    [
        ("dilated_resnet", "aot_eager"),
        *(
            pytest.param(key, backend, marks=pytest.mark.slow)
            for key, backend in (("vit", "aot_eager"), ("vit", "eager"), ("dilated_resnet", "eager"))
        ),
    ],
)
def test_compiled_model_is_the_same(key, backend):
    model = adapted(key)
    x = images(model)
    expected, expected_gradients = outputs(model, x), gradients(model, x)
    compiled = copy.deepcopy(model)
    compiled.compile(backend=backend, fullgraph=True)
    assert relative(outputs(compiled, x), expected) <= TOLERANCE
    assert_close(gradients(compiled, x), expected_gradients)
    torch.compiler.reset()


def share(rank: int, folder: str, processes: int) -> None:
    """Take the gradients of one part of the batch, averaged with the other processes'."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes)
    model = adapted()
    parallel = DistributedDataParallel(model)  # its hooks die with it, so it outlives the backward
    images_each = 4 // processes
    part = slice(images_each * rank, images_each * (rank + 1))
    F.cross_entropy(parallel(images(model, 4)[part]), LABELS[part]).backward()
    torch.save({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ddp_gradients_are_those_of_one_process(tmp_path, processes):
    threads = torch.get_num_threads()
    if processes == 1:
        share(0, str(tmp_path), 1)
        torch.set_num_threads(threads)
    else:
        torch.multiprocessing.spawn(share, (str(tmp_path), processes), nprocs=processes)
    model = adapted()
    expected = grads(model, images(model, 4), LABELS)
    for rank in range(processes):
        assert_close(torch.load(tmp_path / f"{rank}.pt"), expected)


@pytest.mark.parametrize("key", ["vit", "dilated_resnet"])
def test_averaged_weights_are_a_model(key):
    model = adapted(key)
    x, start = images(model), copy.deepcopy(model)
    ema, mean = ModelEmaV3(model, decay=0.5), AveragedModel(model)
    mean.update_parameters(model)
    stir(model)
    ema.update(model)
    mean.update_parameters(model)
    reference = copy.deepcopy(start)
    with torch.no_grad():
        for parameter, other in zip(reference.parameters(), model.parameters(), strict=True):
            parameter.lerp_(other, 0.5)
    expected = outputs(reference, x)
    assert relative(outputs(start, x), expected) > 1e-3
    for averaged in (ema.module, mean.module):
        assert relative(outputs(averaged.eval(), x), expected) <= TOLERANCE
        assert relative(outputs(merge(averaged), x), expected) <= TOLERANCE
    assert injection_of(model) is not None


def test_a_copy_trains_alone():
    model = adapted()
    x, twin = images(model), copy.deepcopy(model)
    before = outputs(model, x)
    optimizer = torch.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=0.1)
    grads(twin, x, LABELS[:2])
    optimizer.step()
    assert torch.equal(outputs(model, x), before) and not torch.equal(outputs(twin, x), before)
    assert all(p.grad is None for p in model.parameters())


def test_a_second_injection_is_refused_and_leaves_the_first(base):
    x = images(base)
    first = inject(base, rank=4)
    stir(base)
    before, kinds = outputs(base, x), [type(module) for module in base.modules()]
    with pytest.raises(ValueError, match="adapters already"):
        inject(base, rank=2)
    assert injection_of(base) is first and kinds == [type(module) for module in base.modules()]
    assert torch.equal(outputs(base, x), before)


def test_channels_last_gives_the_same_gradients():
    model = adapted("dilated_resnet")
    x = images(model)
    expected = gradients(model, x)
    model.to(memory_format=torch.channels_last)
    assert_close(gradients(model, x.contiguous(memory_format=torch.channels_last)), expected)


def test_checkpointing_keeps_no_activation_and_a_backward_frees_them():
    model = build("vit")
    inject(model, rank=4)
    sources = []
    for block in model.blocks:
        for norm in (block.norm1, block.norm2):
            norm.register_forward_pre_hook(lambda module, args: sources.append(weakref.ref(args[0])))
    x = images(model).requires_grad_()
    loss = checkpoint(lambda x: model(x).sum(), x, use_reentrant=False)
    assert len(sources) == 2 * len(model.blocks) and all(source() is None for source in sources)
    loss.backward()
    sources.clear()
    loss = model(x).sum()
    assert all(source() is not None for source in sources)
    loss.backward()
    assert all(source() is None for source in sources)
