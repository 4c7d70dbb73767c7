import json

import pytest

from src.lora.targets import ROLES


@pytest.mark.slow
def test_every_word_has_a_row_for_every_backbone_config(invoke, tmp_path):
    ended = invoke("benchmark", "suite=targets", f"output={tmp_path}")
    assert ended.code == 0, ended.err
    rows = {(r["model"], r["targets"]): r for r in json.loads((tmp_path / "benchmark.json").read_text())["rows"]}
    assert len({model for model, _ in rows}) == 7 and len(rows) == 7 * len(ROLES)
    lite = {word: rows["tf_efficientnet_lite0", word] for word in ROLES}
    assert lite["all"]["layers"] == 49 and lite["dense"]["layers"] == 33 and lite["attention"]["layers"] == 0
    assert lite["all"]["whole_layers"] == 1 and lite["dense"]["trainable_parameters"] == 182744
    vit = {word: rows["vit_small_patch16_224", word]["layers"] for word in ROLES}
    assert vit == {"all": 49, "dense": 49, "attention": 24, "mlp": 24, "conv": 1}
    assert max(map(len, ended.out.splitlines()[:-1])) <= 100
