import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from src.edge import ImageError, stream
from src.edge.inputs import find_source
from src.edge.stream import Camera, Video, is_camera, is_video

av = pytest.importorskip("av", reason="the video extra is not installed")
SIDE = (64, 48)


def write_video(path, shades, codec="mpeg4"):
    """Write a video with one frame of every shade."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=10)
        track.width, track.height, track.pix_fmt = *SIDE, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for shade in shades:
            pixels = np.full((SIDE[1], SIDE[0], 3), shade, np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(track.encode())
    return path


def frames(source):
    return list(source.frames(threading.Event()))


def shades(found):
    return [float(frame.read(16).mean()) for frame in found]


@pytest.fixture
def serve():
    """Serve bytes on loopback, one list of answers for each request in turn; an answer is sent and the line is cut."""
    servers = []

    def start(*answers, content="video/x-matroska", promised=None):
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if not left:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", content)
                if promised:
                    self.send_header("Content-Length", str(promised))
                self.end_headers()
                self.wfile.write(left.pop(0))

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://user:secret@127.0.0.1:{server.server_port}/stream"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_every_frame_of_a_file_comes_in_order_with_its_time(tmp_path):
    path = write_video(tmp_path / "clip.mp4", range(20, 220, 20))
    found = frames(find_source(str(path)))
    assert [frame.facts["frame"] for frame in found] == list(range(10))
    assert [frame.facts["seconds"] for frame in found] == pytest.approx([number / 10 for number in range(10)])
    assert shades(found) == pytest.approx(list(range(20, 220, 20)), abs=4)
    assert found[0].read(16).shape == (SIDE[1], SIDE[0], 3) and found[0].read(16).dtype == np.uint8
    assert found[3].name == "clip-000003" and found[3].path == str(path)


def test_a_broken_video_is_one_line(tmp_path):
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.mp4 cannot be read as a video: Invalid data"):
        frames(Video(str(tmp_path / "text.mp4")))


def test_a_broken_frame_is_an_image_error(tmp_path):
    whole = write_video(tmp_path / "clip.avi", range(20, 220, 20), "mjpeg").read_bytes()
    starts = [place for place in range(len(whole) - 1) if whole[place : place + 2] == b"\xff\xd8"]
    cut = bytearray(whole)
    cut[starts[4] : starts[5] - 16] = bytes(starts[5] - 16 - starts[4])
    (tmp_path / "cut.avi").write_bytes(cut)
    good = broken = 0
    for frame in frames(Video(str(tmp_path / "cut.avi"))):
        try:
            frame.read(16)
            good += 1
        except ImageError as error:
            assert "broken frame" in str(error)
            broken += 1
    assert (good, broken) == (9, 1)


def test_a_file_that_cannot_be_read_to_its_end_keeps_what_came_before(serve, tmp_path):
    whole = write_video(tmp_path / "clip.mkv", [60] * 30).read_bytes()
    address = serve(whole[: len(whole) * 2 // 3], promised=len(whole)).replace("/stream", "/clip.mkv")
    found = frames(find_source(address))
    assert len(found) > 5 and shades(found[:-1]) == pytest.approx([60] * (len(found) - 1), abs=4)
    with pytest.raises(ImageError, match="the rest cannot be read"):
        found[-1].read(16)
    assert found[-1].facts["frame"] == len(found) - 1 and "secret" not in found[0].path


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_a_video_of_a_turned_phone_is_upright(turn):
    """`rotation` is what the file asks to turn by, counter-clockwise."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)

    class Turned:
        is_corrupt, rotation, format = False, turn, SimpleNamespace(name="yuv420p")

        def to_ndarray(self, format):
            return pixels

    upright = stream._pixels(Turned(), 16)
    assert np.array_equal(upright, np.asarray(Image.fromarray(pixels).rotate(turn, expand=True)))
    assert upright.flags["C_CONTIGUOUS"]


def test_a_stream_that_breaks_off_is_opened_again_and_given_up_in_the_end(serve, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.01)
    caplog.set_level(logging.WARNING)
    parts = [write_video(tmp_path / f"{part}.mkv", [shade] * 3).read_bytes() for part, shade in enumerate((60, 180))]
    address = serve(*parts)
    found = frames(Camera(address, retries=2))
    assert shades(found) == pytest.approx([60] * 3 + [180] * 3, abs=4)
    assert [frame.facts["frame"] for frame in found] == list(range(6))
    assert "try 1 of 2" in caplog.text and "given up after 2 tries" in caplog.text
    assert "secret" not in caplog.text + found[0].path


def test_a_camera_that_was_never_there_is_an_error(serve):
    with pytest.raises(ValueError, match=r"gives no picture .*check the address") as caught:
        frames(Camera(serve(), retries=3))
    assert "secret" not in str(caught.value)


def test_a_silent_camera_is_left(monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE", (0.2, 0.2))
    with (
        socket.socket() as listener,
        pytest.raises(ValueError, match=r"gives no picture \(it was silent for too long\)"),
    ):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        frames(Camera(f"http://127.0.0.1:{listener.getsockname()[1]}/live", retries=8))


def test_a_usb_camera_is_opened_as_one(monkeypatch):
    opened = []

    def refuse(address, **options):
        opened.append((address, options["format"]))
        raise av.error.FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(ValueError, match=r"/dev/video7 gives no picture \(No such file or directory\)"):
        frames(find_source("/dev/video7"))
    assert opened == [("/dev/video7", "v4l2")]


def test_the_frames_of_a_camera_that_serves_jpegs(serve, tmp_path):
    """The frame in the middle is cut; each of the others has its shade."""
    parts = []
    for shade in range(20, 140, 20):
        Image.new("RGB", SIDE, (shade,) * 3).save(tmp_path / "a.jpg")
        data = (tmp_path / "a.jpg").read_bytes()
        data = data[:350] if shade == 80 else data
        parts.append(b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(data), data))
    found = frames(Camera(serve(b"".join(parts), content="multipart/x-mixed-replace; boundary=cut"), retries=0))
    assert len(found) == 6
    with pytest.raises(ImageError, match="broken frame"):
        found.pop(3).read(16)
    assert shades(found) == pytest.approx([20, 40, 60, 100, 120], abs=3)


def test_a_slow_consumer_gets_the_newest_frames_and_is_told_of_the_others(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "QUEUE", 3)
    address = serve(write_video(tmp_path / "long.mkv", range(10, 250, 4)).read_bytes())
    taken = []
    for frame in Camera(address, retries=0).frames(threading.Event()):
        if not taken:
            threading.Event().wait(1.0)  # the whole stream comes in meanwhile
        taken.append(frame)
    assert len(taken) < 10 and taken[-1].facts["frame"] == 59
    assert taken[-1].facts["dropped"] + len(taken) == 60


def test_what_is_a_video_and_what_a_camera():
    assert is_video("a/clip.MP4") and is_video("http://host/clip.mp4") and not is_video("a/b.png")
    assert is_camera("rtsp://host/1") and is_camera("http://host/live") and is_camera("/dev/video0")
    assert not is_camera("http://host/clip.mp4") and not is_camera("a.png")
    assert is_camera("http://camera/video.mjpeg") and is_camera("rtsp://camera/clip.mp4")  # neither has an end


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ValueError, match=r'pip install -e "\.\[video\]"'):
        frames(Video(str(tmp_path / "clip.mp4")))


def test_deep_grey_frames_have_the_white_of_the_training(tmp_path):
    with av.open(str(tmp_path / "deep.mkv"), "w") as container:
        track = container.add_stream("ffv1", rate=10)
        track.width, track.height, track.pix_fmt = *SIDE, "gray16le"
        levels = np.full((SIDE[1], SIDE[0]), 2047, np.uint16)
        container.mux(track.encode(av.VideoFrame.from_ndarray(levels, format="gray16le")))
        container.mux(track.encode())
    (frame,) = frames(Video(str(tmp_path / "deep.mkv")))
    assert frame.read(12).mean() == pytest.approx(127, abs=1) and frame.read(16).mean() == pytest.approx(8, abs=1)


def test_a_password_in_the_query_is_not_told():
    assert stream._public("http://h/live?user=admin&password=secret#x") == "http://h/live"
    assert stream._public("rtsp://u:secret@h:554/1") == "rtsp://h:554/1" and stream._public("a?b.mp4") == "a?b.mp4"


def test_a_frame_that_cannot_be_converted_is_an_image_error():
    class Odd:
        is_corrupt, rotation, format = False, 0, SimpleNamespace(name="weird")

        def to_ndarray(self, format):
            raise av.FFmpegError(22, "no such conversion")

    with pytest.raises(ImageError, match=r"broken frame: .*no such conversion"):
        stream._pixels(Odd(), 16)
