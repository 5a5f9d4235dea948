"""The columns of well-known public preference sets. Mappings only: no data, and nothing is downloaded by a name here.

Each entry says how a row of the set as it is published on the Hugging Face hub is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pairloop.records import AnnotatorKind


@dataclass(frozen=True, slots=True)
class Preset:
    """How the rows of one public set are read.

    Attributes:
        home: where the set is published.
        columns: role to column; dots go into nested values.
        values: what the values of the preference column mean; empty where they say it themselves.
        strengths: how clear a value says that the preference is, 0 to 100.
        kind: who gave the votes.
        turns: column with the number of the turn that was judged; the conversations are cut behind it.
        keep: columns that become metadata of the prompt.
    """

    home: str
    columns: Mapping[str, str]
    values: Mapping[str, str] = field(default_factory=dict)
    strengths: Mapping[str, int] = field(default_factory=dict)
    kind: AnnotatorKind = AnnotatorKind.HUMAN
    turns: str | None = None
    keep: tuple[str, ...] = ()


_CHOSEN = {"chosen": "chosen", "rejected": "rejected"}
_LIKERT = {"-3": "a", "-2": "a", "-1": "a", "0": "tie", "1": "b", "2": "b", "3": "b"}
_CLEAR = {"-3": 100, "-2": 67, "-1": 33, "1": 33, "2": 67, "3": 100}
_ARENA = {
    "conversation_a": "conversation_a",
    "conversation_b": "conversation_b",
    "model_a": "model_a",
    "model_b": "model_b",
    "preference": "winner",
    "annotator": "judge",
}

PRESETS: Mapping[str, Preset] = {
    "hh-rlhf": Preset("Anthropic/hh-rlhf", _CHOSEN),
    "ultrafeedback-binarized": Preset(
        "HuggingFaceH4/ultrafeedback_binarized", {**_CHOSEN, "prompt": "prompt"}, kind=AnnotatorKind.MODEL
    ),
    "skywork-reward": Preset("Skywork/Skywork-Reward-Preference-80K-v0.2", _CHOSEN, keep=("source",)),
    "orca-dpo-pairs": Preset(
        "Intel/orca_dpo_pairs", {**_CHOSEN, "system": "system", "prompt": "question"}, kind=AnnotatorKind.MODEL
    ),
    "helpsteer2-preference": Preset(
        "nvidia/HelpSteer2",
        {
            "prompt": "prompt",
            "response_a": "response_1",
            "response_b": "response_2",
            "preference": "preference_strength",
            "reason": "preference_elaboration",
        },
        _LIKERT,
        _CLEAR,
    ),
    "helpsteer3-preference": Preset(
        "nvidia/HelpSteer3",
        {
            "prompt": "context",
            "response_a": "response1",
            "response_b": "response2",
            "preference": "overall_preference",
        },
        _LIKERT,
        _CLEAR,
        keep=("domain", "language"),
    ),
    "chatbot-arena": Preset("lmsys/chatbot_arena_conversations", _ARENA, keep=("language",)),
    "mt-bench-human": Preset(
        "lmsys/mt_bench_human_judgments", {**_ARENA, "group": "question_id"}, turns="turn", keep=("turn",)
    ),
    "shp": Preset(
        "stanfordnlp/SHP",
        {
            "prompt": "history",
            "response_a": "human_ref_A",
            "response_b": "human_ref_B",
            "preference": "labels",
            "group": "post_id",
        },
        {"1": "a", "0": "b"},
        keep=("domain",),
    ),
    "pku-safe-rlhf": Preset(
        "PKU-Alignment/PKU-SafeRLHF",
        {
            "prompt": "prompt",
            "response_a": "response_0",
            "response_b": "response_1",
            "preference": "better_response_id",
        },
        {"0": "a", "1": "b"},
    ),
    "summarize-from-feedback": Preset(
        "openai/summarize_from_feedback",
        {"prompt": "info.post", "responses": "summaries", "preference": "choice", "annotator": "worker"},
        {"0": "a", "1": "b"},
    ),
}
