import json

import pytest

from src.training import remove_refusal


@pytest.mark.parametrize(("content", "stays"), [({"passed": False}, False), ({"passed": True}, True), ([], True)])
def test_the_page_of_a_refusal_goes_and_every_other_stays(tmp_path, content, stays):
    (tmp_path / "audit.json").write_text(json.dumps(content))
    (tmp_path / "audit.html").touch()
    remove_refusal(tmp_path)
    assert [(tmp_path / name).exists() for name in ("audit.html", "audit.json")] == [stays] * 2
    remove_refusal(tmp_path / "nowhere")
