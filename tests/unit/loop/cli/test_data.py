import json


def start(tmp_path, invoke, **row):
    data = tmp_path / "p.jsonl"
    rows = [{"prompt": "Why is it so?", "responses": ["", "schÃ¶n ist das", "a good answer"]}, {"prompt": "broken"}]
    data.write_text("".join(json.dumps(item) + "\n" for item in rows))
    assert invoke("init", tmp_path / "c", "--data", data).exit_code == 0
    return tmp_path / "c"


def test_the_data_is_looked_at_and_nothing_is_stored(tmp_path, invoke) -> None:
    folder = start(tmp_path, invoke)
    result = invoke("data", folder)
    assert result.exit_code == 0, result.output
    assert "2 rows: 1 usable with 3 responses." in result.output
    assert "line 2: missing keys" in result.output
    assert "wrong_encoding, line 1, response 2" in result.output
    assert [path.name for path in folder.iterdir()] == ["campaign.toml"]


def test_the_facts_are_those_of_the_import(tmp_path, invoke) -> None:
    folder = start(tmp_path, invoke)
    text = (folder / "campaign.toml").read_text()
    assert 'empty = "report"' in text
    (folder / "campaign.toml").write_text(text.replace('empty = "report"', 'empty = "remove"'))
    facts = json.loads(invoke("data", folder, "--json", "--examples", "5").stdout)
    stored = json.loads(invoke("import", folder, "--json").stdout)
    assert facts["checks"] == stored["curation"]["checks"]
    assert (facts["checks"]["empty"]["removed"], facts["responses"]) == (1, 2)
    assert stored["responses"] == 2
