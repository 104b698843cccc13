"""Encodes texts with onnxruntime and transformers' tokenizer, one by one, and compares with vectors made elsewhere.

    compare.py FOLDER

FOLDER holds model.onnx, tokenizer.json, texts.json (a list) and vectors.f32 (little-endian, one row a text). Prints JSON:
how many texts, the width, and the smallest cosine between both vectors of a text.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from transformers import PreTrainedTokenizerFast


def pooled(output, mask):
    """A text's vector from the model's output: itself, or the mean of its tokens' states."""
    if output.ndim == 2:
        return output[0]
    return (output[0] * mask[0][:, None]).sum(axis=0) / mask.sum()


def main(folder):
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    limit = json.loads((folder / "tokenizer.json").read_text())["truncation"]["max_length"]
    texts = json.loads((folder / "texts.json").read_text())
    theirs = np.fromfile(folder / "vectors.f32", dtype="<f4").reshape(len(texts), -1)
    wanted = [given.name for given in session.get_inputs()]
    worst = 1.0
    for text, vector in zip(texts, theirs):
        tokens = tokenizer(text, truncation=True, max_length=limit, return_token_type_ids=True)
        feed = {name: np.array([tokens[name]], dtype=np.int64) for name in wanted}
        ours = pooled(session.run(None, feed)[0], np.array([tokens["attention_mask"]])).astype(np.float64)
        cosine = ours @ vector / np.linalg.norm(ours) / np.linalg.norm(vector)
        worst = min(worst, float(cosine)) if np.isfinite(cosine) else -1.0
    print(json.dumps({"texts": len(texts), "width": theirs.shape[1], "worst_cosine": worst}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
