import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from src.decision import DecisionSpec
from src.deploy import Candidate, ship
from src.deploy.decide import write_decision
from src.edge import ImageError, Runtime, decode
from src.spec import ImageSpec, TaskSpec
from tests.edge.test_preprocess import BROKEN

ROOT = Path(__file__).parents[1]
IMAGE = ImageSpec((8, 6), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear", 1.0, "squash")
TASK = TaskSpec("classification", ("bad", "good"), "bad")
UNCERTIFIED = "not certified: no verdict, no promise\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    Image.new("RGB", (9, 9), "orange").save(run / "a.png")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2)).eval()
    candidate = Candidate(lambda: model, TASK, {"val": [(run / "a.png", "bad")]}, merge=lambda plain: plain)
    assert ship(candidate, IMAGE, run).passed
    return run


@pytest.fixture
def pictures(tmp_path):
    """Three good pictures and two broken ones."""
    folder = tmp_path / "part=1, é (new)"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"it's {number}.PNG")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "text.jpg").write_text("hello")
    (folder / "notes.txt").write_text("no picture")
    return folder


def command(*arguments):
    return [sys.executable, *arguments]


def predict(*overrides, cwd=ROOT, flags=()):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = command(*flags, "-m", "src.predict", *overrides)
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_per_picture_and_no_torch(bundle, pictures, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    done = predict(f"model={bundle}", f"input={pictures}", cwd=work, flags=("-X", "importtime"))
    assert done.returncode == 0 and not os.listdir(work)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert {"onnxruntime", "PIL"} <= imported and not {"torch", "timm", "onnx", "lightning"} & imported
    written = lines(done.stdout)
    assert [line["path"] for line in written] == sorted(
        str(path) for path in pictures.iterdir() if path.suffix != ".txt"
    )
    good = [line for line in written if "error" not in line]
    assert [set(line) for line in written if "error" in line] == [{"path", "error"}] * 2
    assert "3 decided, 2 broken" in done.stderr.splitlines()
    expected = Runtime(bundle).predict([decode(line["path"]) for line in good])
    for line, decision in zip(good, expected, strict=True):
        assert list(line) == ["path", "label", "score", "probabilities", "ms"] and line["ms"] > 0
        assert (line["label"], line["score"], line["probabilities"]) == tuple(vars(decision).values())[:3]


def test_batches_and_output_file_hold_the_same_decisions(bundle, pictures, tmp_path):
    one = predict(f"model={bundle}", f"input={pictures}")
    output = tmp_path / "new folder" / "x=1.jsonl"
    many = predict(f"model={bundle}", f"input={pictures}", f"output={output}", "batch_size=4", "threads=1")
    assert (
        many.returncode == 0 and many.stdout == "" and many.stderr == UNCERTIFIED + f"3 decided, 2 broken: {output}\n"
    )
    assert os.listdir(output.parent) == [output.name]
    for first, second in zip(lines(one.stdout), lines(output.read_text()), strict=True):
        assert first.keys() == second.keys() and first["path"] == second["path"]
        assert first.get("label") == second.get("label") and first.get("error") == second.get("error")
        assert first.get("score", 0) == pytest.approx(second.get("score", 0), abs=1e-6)


def closed(*descriptors):
    """Start the process as a shell does after `>&-`."""
    return lambda: [os.close(descriptor) for descriptor in descriptors]


def predict_with(overrides, **options):
    line = command("-m", "src.predict", *overrides)
    return subprocess.run(line, cwd=ROOT, text=True, check=False, **options)


def test_a_closed_stdout_is_told_and_is_not_needed_for_a_file(bundle, pictures, tmp_path):
    asked, output = [f"model={bundle}", f"input={pictures}"], tmp_path / "lines.jsonl"
    ended = predict_with(asked, stderr=subprocess.PIPE, preexec_fn=closed(1))
    message = "error: stdout is closed: name a file for the lines by output=FILE\n"
    assert (ended.returncode, ended.stderr) == (2, message)
    ended = predict_with([*asked, f"output={output}"], stderr=subprocess.PIPE, preexec_fn=closed(0, 1))
    assert (ended.returncode, ended.stderr) == (0, UNCERTIFIED + f"3 decided, 2 broken: {output}\n")
    assert len(lines(output.read_text())) == 5


def test_counts_never_come_among_the_lines(bundle, pictures):
    ended = predict_with([f"model={bundle}", f"input={pictures}"], stdout=subprocess.PIPE, preexec_fn=closed(2))
    assert ended.returncode == 0 and len(lines(ended.stdout)) == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_stdout_that_takes_nothing_is_named(bundle, pictures):
    with open("/dev/full", "w") as full:
        ended = predict_with([f"model={bundle}", f"input={pictures}"], stdout=full, stderr=subprocess.PIPE)
    message = "error: stdout cannot be written (No space left on device): make room on that disk\n"
    assert (ended.returncode, ended.stderr) == (2, message)


def test_nothing_decided_is_exit_code_2(bundle, pictures):
    done = predict(f"model={bundle}", f"input={pictures}/*.jpg")
    assert done.returncode == 2 and len(lines(done.stdout)) == 2
    assert done.stderr.startswith("error: 0 decided, 2 broken") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["input=gone.png"], "'gone.png' is not there"),
        (["input=.", "threads=many"], "threads must be a whole number above 0, not many"),
        (["input=.", "modle=x"], "modle"),
        (["batch_size=0"], "batch_size must be a whole number above 0, not 0"),
        ([], "input is not given: add input=VALUE"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(bundle, overrides, message):
    done = predict(f"model={bundle}", *overrides)
    assert done.returncode == 2 and done.stdout == "" and message in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_folder_without_bundle_and_a_folder_as_output(bundle, tmp_path, pictures):
    missing = predict(f"model={tmp_path}", f"input={pictures}")
    assert missing.returncode == 2 and "no bundle at" in missing.stderr
    folder = predict(f"model={bundle}", f"input={pictures}", f"output={tmp_path}")
    assert folder.returncode == 2 and "is a folder: name a file in it" in folder.stderr


@pytest.fixture
def many(tmp_path):
    """One slow picture under many names."""
    folder = tmp_path / "many"
    folder.mkdir()
    Image.new("RGB", (3000, 3000), "orange").save(tmp_path / "big.png")
    for number in range(400):
        (folder / f"{number:03}.png").symlink_to(tmp_path / "big.png")
    return folder


def started(*overrides):
    return subprocess.Popen(
        command("-m", "src.predict", *overrides),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in a terminal; ignored in `pytest &`
    )


def test_a_reader_that_had_enough_ends_it_quietly(bundle, many):
    process = started(f"model={bundle}", f"input={many}")
    assert json.loads(process.stdout.readline())["path"].endswith("000.png")
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0 and errors.endswith(" decided, 0 broken\n") and errors.count("\n") == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_decided(bundle, many, tmp_path, how):
    output = tmp_path / "out" / "lines.jsonl"
    partial = output.with_name(".lines.jsonl.partial")
    process = started(f"model={bundle}", f"input={many}", f"output={output}")
    while not (partial.exists() and partial.stat().st_size):
        time.sleep(0.02)
    process.send_signal(how)
    errors = process.communicate()[1]
    kept = lines(output.read_text())
    assert errors == UNCERTIFIED + f"{len(kept)} decided, 0 broken: {output}\n"
    assert process.returncode == 130 and 0 < len(kept) < 400 and not partial.exists()
    assert [line["path"] for line in kept] == sorted(str(path) for path in many.iterdir())[: len(kept)]


def test_a_watched_folder_is_decided_into_csv_with_annotated_copies(bundle, pictures, tmp_path):
    output, copies = tmp_path / "lines.csv", tmp_path / "copies"
    process = started(
        f"model={bundle}", f"input={pictures}", "watch=true", "max_images=6", f"output={output}", f"annotate={copies}"
    )
    while not (output.exists() and "it's 0.PNG" in output.read_text()):  # it can be read while it grows
        time.sleep(0.05)
    Image.new("RGB", (40, 30), "navy").save(pictures / "late.png")
    errors = process.communicate()[1]
    assert process.returncode == 0 and errors == UNCERTIFIED + f"4 decided, 2 broken: {output}\n"
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["path"]).name for row in rows if not row["error"]} == {
        "it's 0.PNG", "it's 1.PNG", "it's 2.PNG", "late.png"
    }  # fmt: skip
    assert len(list(copies.rglob("*.jpg"))) == 4


def test_a_video_is_decided_frame_by_frame(bundle, tmp_path):
    av = pytest.importorskip("av", reason="the video extra is not installed")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.width, track.height = 64, 48
        for number in range(7):
            pixels = np.full((48, 64, 3), 30 * number, np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(track.encode())
    ended = predict(f"model={bundle}", f"input={tmp_path / 'clip.mp4'}")
    found = lines(ended.stdout)
    assert ended.returncode == 0 and ended.stderr == UNCERTIFIED + "7 decided, 0 broken\n"
    assert [line["frame"] for line in found] == list(range(7)) and found[3]["seconds"] == 0.3
    assert set(found[0]) == {"path", "frame", "seconds", "label", "score", "probabilities", "ms"}


@pytest.mark.parametrize("count", [800, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_pictures_run_in_flat_memory_with_exact_counts(bundle, tmp_path, count):
    """Every fifth is broken; memory is asked of the process at the first and the last line."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:5000])
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.png").symlink_to(tmp_path / ("cut.png" if number % 5 == 4 else "a.png"))
    process = started(f"model={bundle}", f"input={folder}")
    status = Path(f"/proc/{process.pid}/status")
    held, broken = [], 0
    for place, line in enumerate(process.stdout):
        broken += "error" in json.loads(line)
        if place % 100 == 99 and status.exists():
            held.append(int(status.read_text().partition("VmRSS:")[2].split()[0]))
    errors = process.stderr.read()
    assert process.wait() == 0 and broken == count // 5
    assert errors == UNCERTIFIED + f"{count - broken} decided, {broken} broken\n"
    process.stdout.close()
    process.stderr.close()
    if len(held) > 5:
        assert max(held[2:]) - held[1] < 20_000  # KiB


def test_malformed_pictures_are_refused_or_decided_as_decoding_has_it(bundle, tmp_path):
    """Every broken file of the decoder's own tests, and pictures that are only strange."""
    folder = tmp_path / "strange"
    folder.mkdir()
    for name, (data, _) in BROKEN.items():
        if not name.endswith(".txt"):  # which is a picture only where it is named by itself
            (folder / name).write_bytes(data)
    noise = np.random.default_rng(0).integers(0, 256, (16, 20, 4), dtype=np.uint8)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK"):
        Image.fromarray(noise, "RGBA" if mode == "RGBA" else None).convert(mode).save(folder / f"{mode}.tif")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(noise[..., 0].astype(np.float32)).save(folder / "float.tiff")
    Image.fromarray(noise[..., 0].astype(np.int32) * 70000).save(folder / "wide.tiff")
    Image.new("RGB", (1, 1)).save(folder / "dot.webp")
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "jpeg.png").write_bytes((folder / "cut.jpg").read_bytes())
    ended = predict(f"model={bundle}", f"input={folder}", "batch_size=3")
    found, runtime, decided = lines(ended.stdout), Runtime(bundle), 0
    assert ended.returncode == 0 and "Traceback" not in ended.stderr
    assert [line["path"] for line in found] == sorted(str(path) for path in folder.iterdir() if path.exists())
    for line in found:
        try:
            (expected,) = runtime.predict([decode(line["path"])])
        except ImageError as error:
            assert line == {"path": line["path"], "error": str(error)} and "\n" not in line["error"]
        else:
            assert line["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
            decided += 1
    counts, _, skipped = ended.stderr.partition(", 1 skipped")
    assert counts == f"{UNCERTIFIED}{decided} decided, {len(found) - decided} broken" and decided == 8
    assert skipped == f" ({folder / 'nowhere.png'}: a link to nothing)\n"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("watch=perhaps", "watch must be true or false"),
        ("idle=-1", "idle must be a number of seconds"),
        ("idle=2", "idle= ends a watch: add watch=true"),
        ("max_images=0", "max_images must be a whole number above 0"),
        ("retries=-1", "retries must be a whole number above -1"),
        ("watch=true", "watch=true needs a folder"),
    ],
)
def test_wrong_options_are_one_line(bundle, pictures, override, message):
    ended = predict(f"model={bundle}", f"input={pictures / 'notes.txt'}", override)
    assert ended.returncode == 2 and message in ended.stderr and ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_base_install_decides_without_torch(bundle, pictures, tmp_path):
    """A new environment, a copy of the sources, and `pip install` without any extra."""
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / "graft" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "graft")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"

    def execute(*arguments):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        line = [str(python), *arguments]
        return subprocess.run(
            line, cwd=tmp_path / "graft", env=environment, capture_output=True, text=True, check=False
        )

    installed = execute("-m", "pip", "install", "-q", ".")
    assert installed.returncode == 0, installed.stderr
    names = {each["name"].lower() for each in json.loads(execute("-m", "pip", "list", "--format=json").stdout)}
    assert {"numpy", "pillow", "onnxruntime", "hydra-core"} <= names
    assert not names & {"torch", "timm", "onnx", "lightning", "av", "scipy", "safetensors"}
    shutil.copytree(bundle / "edge", tmp_path / "edge")
    copies = ("output=lines.csv", "annotate=copies", "watch=true", "idle=1")
    for options, where in ((), ""), (copies, ": lines.csv"):
        ended = execute("-m", "src.predict", f"model={tmp_path / 'edge'}", f"input={pictures}", *options)
        assert ended.returncode == 0 and ended.stderr == UNCERTIFIED + f"3 decided, 2 broken{where}\n"
    (tmp_path / "graft" / "clip.mp4").touch()
    ended = execute("-m", "src.predict", f"model={tmp_path / 'edge'}", "input=clip.mp4")
    assert (ended.returncode, ended.stderr) == (2, 'error: videos and cameras need PyAV: pip install -e ".[video]"\n')


def test_a_picture_of_the_input_is_no_output(bundle, pictures):
    picture = (pictures / "it's 0.PNG").rename(pictures / "photo")
    before = picture.read_bytes()
    ended = predict(f"model={bundle}", f"input={picture}", f"output={picture}")
    assert ended.returncode == 2 and "is a picture of the input" in ended.stderr and picture.read_bytes() == before


@pytest.mark.parametrize("key", ["output", "annotate"])
def test_nothing_is_written_into_the_bundle(bundle, pictures, key):
    ended = predict(f"model={bundle}", f"input={pictures}", f"{key}={bundle / 'edge' / 'x'}")
    assert ended.returncode == 2 and "lies in the bundle" in ended.stderr and not (bundle / "edge/x").exists()


def test_what_is_not_looked_at_is_counted_with_its_reason(bundle, tmp_path):
    Image.new("RGB", (9, 9), "orange").save(tmp_path / "a.jfif", "JPEG")
    Image.new("L", (9, 9)).save(tmp_path / "b.tif", save_all=True, append_images=[Image.new("L", (9, 9))] * 2)
    (tmp_path / "c.djvu").write_bytes(b"x")
    (tmp_path / "d.djvu").write_bytes(b"x")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "notes.txt").write_text("no picture")
    ended = predict(f"model={bundle}", f"input={tmp_path}")
    assert ended.returncode == 0 and len(lines(ended.stdout)) == 2
    assert ended.stderr.splitlines() == [
        f"{tmp_path}/b.tif has 3 pages or frames: the first one is decided",
        UNCERTIFIED.strip(),
        f"2 decided, 0 broken, 3 skipped ({tmp_path}/gone.png: a link to nothing; {tmp_path}/c.djvu and 1 more: "
        "no format that Graft reads: save it as PNG), 2 further pages not looked at",
    ]
    ended = predict(f"model={bundle}", f"input={tmp_path}/*.djvu")
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "2 skipped" in ended.stderr
    ended = predict(f"model={bundle}", f"input={tmp_path}", "watch=true", "idle=2")
    assert ended.stderr.splitlines()[-1].startswith("2 decided, 0 broken, 3 skipped (")


@pytest.mark.parametrize("origin", ["certified", "chosen"])
def test_a_bundle_with_thresholds_gives_verdicts_and_counts_them(bundle, pictures, tmp_path, invoke, origin):
    certified = tmp_path / "edge"
    shutil.copytree(bundle / "edge", certified)
    scores = sorted(line["probabilities"]["bad"] for line in plain_lines(bundle, pictures, invoke))
    low, high = (float(np.float32(score)) for score in scores[1:])
    decision = DecisionSpec(origin, pass_classes=("good",), pass_below=(low,), reject_from=(high,))
    write_decision(certified, decision)
    ended = invoke("predict", f"model={certified}", f"input={pictures}", f"annotate={tmp_path / 'copies'}")
    good = [line for line in lines(ended.out) if "error" not in line]
    assert ended.code == 0 and {tuple(line) for line in good} == {
        ("path", "label", "score", "probabilities", "verdict", "ms")
    }
    told = {line["probabilities"]["bad"]: line["verdict"] for line in good}
    assert [told[score] for score in sorted(told)] == ["pass", "review", "reject"]
    promise = "" if origin == "certified" else "thresholds chosen, not certified: verdicts without a promise\n"
    assert ended.err == f"{promise}3 decided (1 pass, 1 reject, 1 review, 0 unknown), 2 broken\n"
    table = tmp_path / "lines.csv"
    assert invoke("predict", f"model={certified}", f"input={pictures}", f"output={table}").code == 0
    with open(table, newline="") as file:
        assert sorted(row["verdict"] for row in csv.DictReader(file)) == ["", "", "pass", "reject", "review"]


def plain_lines(bundle, pictures, invoke):
    return [
        line for line in lines(invoke("predict", f"model={bundle}", f"input={pictures}").out) if "error" not in line
    ]
