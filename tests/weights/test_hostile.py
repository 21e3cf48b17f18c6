"""Files that are damaged, hostile or of another kind: one line for each, and no memory taken for what they claim."""

import io
import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from minivit import ViT
from minivit.errors import CheckpointError
from minivit.weights import find_weights

from . import synthetic
from .synthetic import filled
from .test_load import PLAIN, file_of

SMALL = 12_000_000  # bytes: what reading a header may take


def refusal(path, **answers):
    """The one line with which a file is refused, without the memory that it claims."""
    tracemalloc.start()
    with pytest.raises(CheckpointError) as error:
        ViT.load(path, **answers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    assert peak < SMALL, f"{peak:,} bytes"
    return message


def header_only(header, body=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return len(text).to_bytes(8, "little") + text + body


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = {
    "nothing": b"",
    "a length alone": (8).to_bytes(8, "little"),
    "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a header that is no JSON": header_only(b"{" * 40),
    "JSON within JSON": header_only(b"[" * 100_000),
    "a list": header_only(b"[]"),
    "values that are missing": header_only({"a": {**TENSOR, "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "a shape that is not its length": header_only({"a": {**TENSOR, "shape": [2**50]}}, bytes(8)),
    "a negative shape": header_only({"a": {**TENSOR, "shape": [-2]}}, bytes(8)),
    "offsets that overlap": header_only({"a": TENSOR, "b": {**TENSOR, "data_offsets": [4, 12]}}, bytes(12)),
    "values behind the end": header_only({"a": TENSOR}, bytes(8) + b"more"),
    "an unknown dtype": header_only({"a": {**TENSOR, "dtype": "F33"}}, bytes(8)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_safetensors_file(damage, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(DAMAGED[damage])
    assert "not a whole safetensors file" in refusal(path)


def test_a_file_cut_short_anywhere(tmp_path):
    content = save(filled(synthetic.timm_shapes(), dtype=np.float32))
    path = tmp_path / "model.safetensors"
    for size in (0, 1, 8, 9, 500, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        assert "not a whole safetensors file" in refusal(path, **PLAIN), size


def torch_archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return buffer.getvalue()


OTHERS = {
    "model.pth": (pickle.dumps({"a": 1}), "a pickle, which runs code when it is opened: take the model.safetensors"),
    "renamed.safetensors": (pickle.dumps([1]), "a pickle, which runs code"),
    "pytorch_model.bin": (torch_archive("archive/data.pkl", "archive/data/0"), "a pickle of PyTorch"),
    "ViT-B-32.pt": (torch_archive("ViT/code/__torch__.py", "ViT/data.pkl"), "a TorchScript archive, which holds code"),
    "model.gguf": (b"GGUF" + bytes(40), "a GGUF file, whose weights are quantised"),
    "weights.h5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file"),
    "array.npy": (b"\x93NUMPY\x01\x00" + bytes(40), "a single array"),
    "pictures.zip": (torch_archive("a.png"), "a zip archive, but no .npz file"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_that_are_not_opened(name, tmp_path):
    content, expected = OTHERS[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert expected in refusal(path)


def test_a_pickle_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Evil()))
    np.savez(tmp_path / "model.npz", **{"embedding/kernel": np.array([Evil()], dtype=object)})
    refusal(tmp_path / "model.pkl")
    assert "holds Python objects, a pickle" in refusal(tmp_path / "model.npz")
    assert not (tmp_path / "written").exists()


def npz(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(shape, body=b"", dtype="<f4"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": dtype})
    return buffer.getvalue() + body


def test_an_npz_that_claims_more_than_it_holds(tmp_path):
    path = npz(tmp_path / "m.npz", {"embedding/kernel.npy": npy((10**6, 10**6), bytes(16))})
    assert "its length is not that of its shape" in refusal(path)


def test_an_npz_that_expands(tmp_path):
    path = npz(tmp_path / "m.npz", {"a.npy": npy((3 * 10**6,), bytes(12 * 10**6))}, zipfile.ZIP_DEFLATED)
    assert "as no weights do" in refusal(path)


def test_an_npz_of_countless_layers(tmp_path):
    stack = "Transformer/encoderblock/LayerNorm_0/scale.npy"
    path = npz(tmp_path / "m.npz", {stack: npy((10**9, 0))})
    assert "expected a layer for each block" in refusal(path)


@pytest.mark.parametrize("body", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x09\x00", b"text"])
def test_an_npz_of_no_arrays(body, tmp_path):
    assert "is no array" in refusal(npz(tmp_path / "m.npz", {"a.npy": body}))


def test_an_npz_with_a_header_that_is_no_dictionary(tmp_path):
    text = b"[" * 5000 + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    assert "is no array" in refusal(npz(tmp_path / "m.npz", {"a.npy": content}))


def test_a_damaged_npz(tmp_path):
    path = file_of(filled(synthetic.google_shapes(), dtype=np.float32), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "not a whole .npz file" in refusal(path)
    place = content.index(b"\x93NUMPY") + 200  # a value of the first array: its CRC tells
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert "Bad CRC" in refusal(path)


def test_an_encrypted_npz(tmp_path):
    path = file_of(filled(synthetic.google_shapes(), dtype=np.float32), tmp_path)
    content = bytearray(path.read_bytes())
    for marker, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of every member
        place = content.find(marker)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(marker, place + 4)
    path.write_bytes(bytes(content))
    assert "not a whole .npz file" in refusal(path)


# Folders, indices, configs


def test_folders(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match="holds no weights, expected one of model.safetensors"):
        find_weights(empty)
    (empty / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds only pytorch_model.bin, which runs code"):
        find_weights(empty)
    for name in ("a.safetensors", "b.safetensors"):
        (empty / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds a.safetensors, b.safetensors: name one of them"):
        find_weights(empty)
    (empty / "b.safetensors").unlink()
    assert find_weights(empty).name == "a.safetensors"
    with pytest.raises(CheckpointError, match="no such file or folder"):
        find_weights(tmp_path / "nothing")


@pytest.mark.parametrize(
    "content, expected",
    [
        ("nonsense", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ("[]", "holds no weight_map"),
        ('{"weight_map": {"a": 3}}', "holds no weight_map"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "there is no file '../../etc/passwd' beside it"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "there is no file '/etc/passwd' beside it"),
        ('{"weight_map": {"a": "missing.safetensors"}}', "there is no file 'missing.safetensors' beside it"),
        ('{"weight_map": {"other": "part.safetensors"}}', "does not hold 'other'"),
    ],
)
def test_an_index_that_lies(content, expected, tmp_path):
    save_file(filled({"a": (2,)}), tmp_path / "part.safetensors")
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(content)
    assert expected in refusal(path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "open_clip_config.json"])
@pytest.mark.parametrize("content", ["nonsense", "[1]", "[" * 100_000, "\0"])
def test_a_config_that_is_none(name, content, tmp_path):
    file_of(filled(synthetic.timm_shapes()), tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=name) as error:
        ViT.load(tmp_path, **PLAIN)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 400, "\u202eabc"])
def test_names_that_would_break_a_line(name, tmp_path):
    save_file(filled(synthetic.timm_shapes() | {name: (2,)}), tmp_path / "model.safetensors")
    message = refusal(tmp_path / "model.safetensors")
    assert "a tensor is called " in message and len(message) < 400


@pytest.mark.parametrize("value", ["a\nb", "x" * 100_000, ["y" * 1000] * 1000], ids=["line", "long", "list"])
def test_settings_that_would_break_a_line(value, tmp_path):
    file_of(filled(synthetic.timm_shapes()), tmp_path)
    for config in (
        {"architecture": value, "global_pool": value},
        synthetic.timm_config(model_args={"block_fn": value}),
        synthetic.timm_config(model_args={"act_layer": value}),
        synthetic.hf_config(value),
        synthetic.hf_config(hidden_act=value),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError) as error:
            ViT.load(tmp_path, **PLAIN)
        assert "\n" not in str(error.value) and len(str(error.value)) < 600


NONSENSE = [None, True, -1, 0, 1e400, "text", [], [[]], {}, {"a": 1}, [None], 10**30, float("nan")]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize("kind", ["timm", "vit", "clip", "open_clip"])
def test_a_config_full_of_nonsense_is_one_line_or_not_minded(kind, nonsense, tmp_path):
    """Each value of each config, replaced: whatever comes, it is a model, a question or a line."""
    from minivit.errors import MinivitError

    shapes = {"timm": synthetic.timm_shapes, "vit": synthetic.hf_vit_shapes}.get(kind, synthetic.hf_clip_shapes)()
    if kind == "open_clip":
        shapes = synthetic.openai_shapes()
    config = {
        "timm": synthetic.timm_config(global_pool="token", num_classes=5, label_names=["a"] * 5),
        "vit": synthetic.hf_config(id2label={"0": "a"}, layer_norm_eps=1e-12, hidden_act="gelu"),
        "clip": {"model_type": "clip", "vision_config": synthetic.hf_config(hidden_act="gelu")},
        "open_clip": {
            "model_cfg": {"vision_cfg": {"image_size": 8, "width": 12, "layers": 2, "head_width": 4}},
            "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
        },
    }[kind]
    name = "open_clip_config" if kind == "open_clip" else "config"
    file_of(filled(shapes), tmp_path)
    processor = {**synthetic.PROCESSOR, "crop_size": {"height": 8}, "do_center_crop": False}
    for file, values in ((name, config), ("preprocessor_config", processor)):
        for changed in replaced(values, nonsense):
            (tmp_path / f"{file}.json").write_text(json.dumps(changed))
            try:
                ViT.load(tmp_path)
            except MinivitError as error:
                assert "\n" not in str(error)
        (tmp_path / f"{file}.json").write_text(json.dumps(values))


def replaced(values, nonsense):
    """Copies of nested dictionaries, each with one value replaced."""
    for name, value in values.items():
        yield {**values, name: nonsense}
        if isinstance(value, dict):
            for inner in replaced(value, nonsense):
                yield {**values, name: inner}
