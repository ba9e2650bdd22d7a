"""Content credentials: signed into every kind of picture with a certificate of the test's own, and read back."""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from retouch.cli.commands.show import _signed
from retouch.pictures.credentials import holds_credentials
from retouch.run.files import signers
from retouch.run.files.signers import Claim, Identity, Unfit
from retouch_c2pa.signing import SIGNER
from tests.e2e.command import draw, retouch
from tests.faulty.installing import install

PEM = serialization.Encoding.PEM
RECIPE = """
x = open | invert ddim steps=1 strength=1.0
x | save "out/x.png"
x | save "out/x.jpg"
x | save "out/x.webp"
x | save "out/x.tiff"
open | mask box right=50% | save mask "out/mask.png"
x | sheet "out/sheet.png"
"""
NAMES = ("x.png", "x.jpg", "x.webp", "x.tiff", "mask.png", "sheet.png")


def named(person: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, person)])


def certificate(person: str, key: Any, issuer: Any, *, days: int = 30) -> x509.Certificate:
    """One for signing content, or of an authority where it is issued by itself."""
    own, now = issuer is key, datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(named(person))
        .issuer_name(named("Authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=min(days, 0) - 1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(own, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(not own, key_cert_sign=own, crl_sign=own, decipher_only=False, **usage), critical=True
        )
    )
    if not own:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return made.sign(issuer, hashes.SHA256())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, its key, and what should not be signed with."""
    folder, authority = tmp_path_factory.mktemp("keys"), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Authority", authority, authority).public_bytes(PEM)
    (folder / "ca.pem").write_bytes(ca)
    made = {"own": ec.generate_private_key(ec.SECP256R1()), "old": ec.generate_private_key(ec.SECP384R1())}
    made |= {"small": rsa.generate_private_key(65537, 1024)}
    for name, key in made.items():
        days = -1 if name == "old" else 30
        (folder / f"{name}.pem").write_bytes(certificate("Ada", key, authority, days=days).public_bytes(PEM) + ca)
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / f"{name}.key").write_bytes(key.private_bytes(PEM, *form))
        (folder / f"{name}.key").chmod(0o600)
    return folder


def signing(keys: Path) -> list[object]:
    return ["--sign", "c2pa", "--cert", keys / "own.pem", "--key", keys / "own.key"]


def run(folder: Path, *more: object) -> Any:
    return retouch("run", "-e", RECIPE, "kitten.png", "--caption", "a caption of mine", *more, folder=folder)


def shown(path: Path) -> dict[str, Any]:
    return json.loads(retouch("show", path.name, "--json", folder=path.parent).out)


@pytest.fixture(scope="module")
def signed(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results of a signed run, of a source that has credentials itself."""
    folder = tmp_path_factory.mktemp("signed")
    draw(folder / "kitten.png")
    data, identity = (folder / "kitten.png").read_bytes(), Identity(keys / "own.pem", keys / "own.key")
    (folder / "kitten.png").write_bytes(SIGNER.sign(data, ".png", Claim(title="drawn by Ada"), identity))
    done = run(folder, *signing(keys))
    assert done.code == 0, done.err
    return folder


def test_each_result_says_who_signed_what_was_done_and_to_what(
    signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETOUCH_SIGN_TRUST", str(keys / "ca.pem"))
    for name in NAMES:
        told = shown(signed / "out" / name)
        assert told["credentials"]["state"] == "trusted", name
        assert told["credentials"]["signer"] == "Ada"
        actions = told["credentials"]["manifest"]["assertions"][0]["data"]["actions"]
        kind = actions[-1].get("digitalSourceType", "").rpartition("/")[2]
        assert actions[-1]["parameters"]["retouch.recipe"] == told["recipe"]
        if name == "sheet.png":
            assert [each["action"] for each in actions] == ["c2pa.created"]
        else:
            assert [each["action"] for each in actions] == ["c2pa.opened", "c2pa.edited"]
            (source,) = told["credentials"]["manifest"]["ingredients"]
            assert (source["title"], source["relationship"]) == ("kitten.png", "parentOf")
            assert source["active_manifest"], "the source's own credentials came along"
        assert kind == ("" if name == "mask.png" else "compositeWithTrainedAlgorithmicMedia")
    line = retouch("show", "out/x.png", folder=signed).out.splitlines()[-1]
    assert line == "content credentials: signed by Ada: valid, and its signer is one that you trust"


def test_no_place_and_no_key_stands_in_a_signed_file(signed: Path, keys: Path) -> None:
    secret = b"".join((keys / "own.key").read_bytes().splitlines()[1:-1])
    for name in NAMES:
        data = (signed / "out" / name).read_bytes()
        assert not [word for word in (str(keys).encode(), str(signed).encode(), secret[:40]) if word in data]
        assert "sign" not in str(shown(signed / "out" / name).get("settings"))


@pytest.mark.thorough
def test_a_signed_folder_is_done_until_its_credentials_are_gone(signed: Path, keys: Path) -> None:
    before = {name: (signed / "out" / name).read_bytes() for name in NAMES}
    assert "all 6 results are there already" in run(signed, *signing(keys)).out
    path = signed / "out" / "x.png"
    with Image.open(path) as image:  # as programs do that know nothing of credentials
        image.save(path, pnginfo=_texts(image))
    assert not holds_credentials(path)
    done = run(signed, *signing(keys))
    assert "5 of 6 results are there already" in done.out, done.out
    assert holds_credentials(path)
    assert {name for name in NAMES if (signed / "out" / name).read_bytes() != before[name]} == {"x.png"}
    same = Image.open(io.BytesIO(before["x.png"])).tobytes()
    assert Image.open(path).tobytes() == same
    assert retouch("rerun", "out/x.png", "--verify", folder=signed).out.startswith("same: every pixel")
    assert not [each.name for each in (signed / "out").iterdir() if each.suffix == ".part"]


def _texts(image: Image.Image) -> Any:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_itxt("retouch", image.info["retouch"])
    return texts


def test_what_is_changed_afterwards_is_not_valid(signed: Path, tmp_path: Path) -> None:
    for name, at in {"x.png": b"IDAT", "x.jpg": b"\xff\xda", "x.webp": b"VP8", "x.tiff": b"II*\0"}.items():
        data = bytearray((signed / "out" / name).read_bytes())
        data[data.index(at) + 60] ^= 1
        (tmp_path / name).write_bytes(data)
        told = SIGNER.verdict(tmp_path / name, b"")
        assert told is not None
        assert told.state == "invalid", name
        assert told.problems, name


def test_a_source_whose_credentials_were_broken_is_told_though_its_edit_is_valid(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    data, identity = bytearray((signed / "out" / "x.png").read_bytes()), Identity(keys / "own.pem", keys / "own.key")
    for change, wrong in ((0, {}), (1, {"cat.png": ("assertion.dataHash.mismatch",)})):
        data[data.index(b"IDAT") + 60] ^= change
        source, edited = tmp_path / "cat.png", tmp_path / "dog.png"
        source.write_bytes(data)
        claim = Claim(source=source, source_name="cat.png")
        edited.write_bytes(SIGNER.sign((signed / "kitten.png").read_bytes(), ".png", claim, identity))
        told = SIGNER.verdict(edited, b"")
        assert told is not None
        assert (told.state, told.sources) == ("valid", wrong)
    (line,) = [each for each in _signed(told) if "source" in each]
    assert line == "its source 'cat.png' had content credentials that were not valid: assertion.dataHash.mismatch"


@pytest.mark.parametrize("level", ["minimal", "none"])
def test_credentials_say_what_the_stamp_allows(level: str, keys: Path, tmp_path: Path) -> None:
    draw(tmp_path / "kitten.png")
    assert run(tmp_path, *signing(keys), "--stamp", level).code == 0
    for name in NAMES:
        told = shown(tmp_path / "out" / name)
        said = json.dumps(told["credentials"])
        assert not [word for word in ("kitten", "a caption", "invert", "storybook", '"title"') if word in said], name
        assert ("model_digest" in said) == (level == "minimal" and name != "sheet.png"), name
        assert "digitalSourceType" in said or name == "mask.png"
    assert "all 6 results are there already" in run(tmp_path, *signing(keys), "--stamp", level).out
    if level == "none":
        assert "# it says nothing of a recipe" in retouch("show", "out/x.png", folder=tmp_path).out


def refused(folder: Path, *more: object, recipe: str = "open | save 'y.png'") -> Any:
    draw(folder / "kitten.png")
    done = retouch("check", "-e", recipe.replace("'", '"'), "kitten.png", *more, folder=folder)
    assert done.code in (1, 2)
    return done.err


def test_whoever_cannot_sign_is_told_before_anything_runs(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, key = ["--cert", keys / "own.pem"], ["--key", keys / "own.key"]
    loose = tmp_path / "loose.key"
    loose.write_bytes((keys / "own.key").read_bytes())
    loose.chmod(0o640)
    (tmp_path / "not.pem").write_text("a certificate")
    for line, words in (
        (["--sign", "c2pa", *own], "no key is named"),
        (["--sign", "c2pa", *own, "--key", loose], "its permissions are 640"),
        (["--sign", "c2pa", "--cert", keys / "ca.pem", *key], "not the one of the first certificate"),
        (["--sign", "c2pa", "--cert", keys / "old.pem", "--key", keys / "old.key"], "and not today"),
        (["--sign", "c2pa", "--cert", keys / "small.pem", "--key", keys / "small.key"], "signs with no such key"),
        (["--sign", "c2pa", "--cert", tmp_path / "not.pem", *key], "is no PEM"),
        (["--sign", "c2pa", "--cert", tmp_path / "gone.pem", *key], "there is no certificate"),
    ):
        said = refused(tmp_path, *line)
        assert "error[RT452]" in said, said
        assert words in said, said
    assert "error[RT451]: '--sign' cannot sign: no plugin signs by the name of 'c3pa'" in refused(
        tmp_path, "--sign", "c3pa"
    )
    assert "--cert and --key are for --sign" in refused(tmp_path, *own)
    table = refused(tmp_path, *signing(keys), recipe="open | measure 'x.csv'")
    assert "error[RT453]: 'x.csv' cannot be signed" in table
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert "pip install 'retouch[c2pa]'" in refused(tmp_path, *signing(keys))


_SIGNS = """
from retouch import hookimpl

class Signer:
    endings = (".png",)
    def check(self, identity): pass
    def sign(self, data, ending, claim, identity): return data
    def verdict(self, path, trusted): return None

SIGNER = Signer()
{}

@hookimpl
def retouch_signers():
    return {{"odd": "{}:SIGNER"}}
"""
_ODD = {
    "SIGNER = 'x'": "it has no check()",
    "SIGNER.endings = 3": "TypeError: ",
    "SIGNER.endings = (1,)": "its endings are [1]",
    "SIGNER.check = lambda identity: {}['boom']": "KeyError: 'boom'",
    "SIGNER.sign = lambda *all: None": "its sign() gives a NoneType, and no bytes",
    "SIGNER.sign = lambda *all: b''": "what its sign() gives holds no content credentials",
    "SIGNER.sign = lambda *all: {}['boom']": "KeyError: 'boom'",
}


@pytest.mark.parametrize(("odd", "words"), _ODD.items())
def test_a_signer_that_does_something_else_is_named_and_nothing_of_it_is_kept(
    odd: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"odd{list(_ODD).index(odd)}"
    install(tmp_path, name, _SIGNS.format(odd, f"f_{name}"))
    monkeypatch.syspath_prepend(tmp_path)
    draw(tmp_path / "kitten.png")
    recipe = 'open | save "y.png"\nopen | sheet "all.png"'
    done = retouch("run", "-e", recipe, "kitten.png", "--sign", "odd", folder=tmp_path)
    assert done.code in (2, 4), done.err
    of_run = ".sign =" in odd
    codes = [line.partition("]")[0] for line in done.err.splitlines() if line.startswith("error[")]
    assert codes == (["error[RT460", "error[RT460"] if of_run else ["error[RT451"])
    assert done.err.count(f"'odd' of the plugin 'f_{name}' is at fault: {words}") >= len(codes)
    assert done.err.count(f"help: report it to f_{name}") == len(codes)
    assert not (tmp_path / "y.png").exists()
    assert not (tmp_path / "all.png").exists()


def test_credentials_are_read_by_whoever_can(signed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path, "yes", _SIGNS.format("SIGNER.verdict = lambda *all: 'yes'", "f_yes"))
    monkeypatch.syspath_prepend(tmp_path)
    there = signers.installed()
    monkeypatch.setattr("retouch.cli.signing.installed", lambda: dict(sorted(there.items(), reverse=True)))
    assert [*dict(sorted(there.items(), reverse=True))] == ["odd", "c2pa"]
    assert shown(signed / "out" / "x.png")["credentials"]["state"] == "valid"
    monkeypatch.setattr("retouch.cli.signing.installed", lambda: {"odd": there["odd"]})
    why = shown(signed / "out" / "x.png")["credentials"]["why"]
    assert why.startswith("'odd' of the plugin 'f_yes' is at fault: its verdict() gives a str")


@pytest.mark.skipif(os.name == "nt", reason="no pipes in folders")
def test_a_pipe_is_not_waited_for_and_the_home_of_nobody_is_no_place(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert not holds_credentials(tmp_path / "pipe.png")
    nobody = "~nobody-of-this-name/me.pem"
    assert "there is no certificate" in refused(tmp_path, "--sign", "c2pa", "--cert", nobody, "--key", keys / "own.key")
    (tmp_path / "loop.pem").symlink_to("loop.pem")
    assert "error[RT452]" in refused(tmp_path, "--sign", "c2pa", "--cert", "loop.pem", "--key", keys / "own.key")
    monkeypatch.setenv("RETOUCH_SIGN_CERT", nobody)
    assert "there is no certificate" in refused(tmp_path, "--sign", "c2pa", "--key", keys / "own.key")
    monkeypatch.setenv("RETOUCH_SIGN_CERT", "-----BEGIN \udcff")
    assert "error[RT452]" in refused(tmp_path, "--sign", "c2pa", "--key", keys / "own.key")


def test_the_environment_may_hold_both(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETOUCH_SIGN_CERT", str(keys / "own.pem"))
    monkeypatch.setenv("RETOUCH_SIGN_KEY", (keys / "own.key").read_text())
    SIGNER.check(Identity())
    monkeypatch.setenv("RETOUCH_SIGN_KEY", "")
    with pytest.raises(Unfit, match="no key is named"):
        SIGNER.check(Identity())


@pytest.mark.bench
def test_workers_sign_as_one_process_does(keys: Path, tmp_path: Path) -> None:
    for at in range(4):
        draw(tmp_path / f"{at}.png")
    line = ["-e", "open | invert ddim steps=1 | sheet 'all.png'".replace("'", '"'), *(f"{at}.png" for at in range(4))]
    done = retouch("run", *line, *signing(keys), "--workers", "2", folder=tmp_path)
    assert done.code == 0, done.err
    assert holds_credentials(tmp_path / "all.png")
    line[1] = "open | invert ddim steps=1 | save '{name}-x.png'".replace("'", '"')
    assert retouch("run", *line, *signing(keys), "--workers", "2", folder=tmp_path).code == 0
    for at in range(4):
        found = SIGNER.verdict(tmp_path / f"{at}-x.png", b"")
        assert found is not None
        assert found.state == "valid"


def test_what_is_no_picture_holds_no_credentials(tmp_path: Path) -> None:
    for at, data in enumerate((b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + b"\xff" * 30, b"\xff\xd8\xff\xeb\0\0", b"II*\0")):
        (tmp_path / f"{at}").write_bytes(data)
        assert not holds_credentials(tmp_path / f"{at}")
    assert not holds_credentials(tmp_path / "gone")
    assert not holds_credentials(tmp_path)
