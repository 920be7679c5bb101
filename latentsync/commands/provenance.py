"""What videos and pictures say about themselves, and a certificate of one's own to sign with.

python -m scripts.provenance show out.mp4
python -m scripts.provenance make-cert certificates/
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from latentsync import __version__
from latentsync.commands.console import DONE, Parser, run
from latentsync.errors import ConfigError
from latentsync.places import command

_LABELS = {"1": "generated", "2": "possibly generated", "3": "suspected to be generated"}
_STATES = {
    "Trusted": "Trusted: unchanged since it was signed, and the signer's root is known",
    "Valid": "Valid: unchanged since it was signed; who signed it is not vouched for",
    "Invalid": "Invalid",
}


def build_parser() -> Parser:
    parser = Parser(prog=command("provenance"), description=__doc__.splitlines()[0])
    version = f"latentsync {__version__}"
    parser.add_argument("--version", action="version", version=version)
    add = parser.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser
    show = add("show", help="print what videos and pictures say about themselves")
    show.add_argument("files", nargs="+", metavar="FILE", help="any video or picture")
    show.add_argument("--trust", metavar="PEM", help="certificates to trust, such as root.cert.pem")
    about = "make a certificate of your own: it proves integrity, not identity"
    make = add("make-cert", help=about, description=f"Writes files to sign with; {about}.")
    make.add_argument("folder", metavar="FOLDER", help="where the files are written")
    make.add_argument("--name", default="self-made certificate", help="shown as the signer")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    if options.action == "make-cert":
        return run(lambda: _make(Path(options.folder), options.name))
    return run(lambda: _show([Path(file) for file in options.files], options.trust))


def _make(folder: Path, name: str) -> int:
    from latentsync.media.marks.certificates import CHAIN, KEY, ROOT, make_certificate

    make_certificate(folder, name)
    print(f"{folder / CHAIN}, {folder / KEY}: sign with --sign-cert and --sign-key; keep the key")
    print(f"{folder / ROOT}: give it to those who verify your videos")
    print(
        "The certificate proves that a video was not changed after it was signed with this key. "
        "It does not prove who you are: programs will call the signer untrusted."
    )
    return DONE


def _show(files: Sequence[Path], trust: str | None) -> int:
    anchors = None if trust is None else _text_of(Path(trust))
    for file in files:
        for line in described(file, anchors):
            print(f"{file}: {line}" if len(files) > 1 else line)
    return DONE


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--trust", path, f"{error}; give a file of certificates (PEM)") from error


def described(file: Path, anchors: str | None = None) -> Iterator[str]:
    """What a file says about itself, a line for each mark. Raises MediaError: it is no video, and
    no picture."""
    from latentsync.media.marks.marking import read_marks  # takes a moment
    from latentsync.media.probe import probe

    marks = read_marks(probe(file))
    yield f"comment  {marks.comment or 'none'}"
    yield f"AIGC     {_aigc(marks.aigc)}"
    yield f"XMP      {_xmp(marks.packet)}"
    if not marks.manifest:
        yield "C2PA     none"
        return
    yield from _c2pa(file, anchors)


def _aigc(text: str) -> str:
    from latentsync.media.marks import aigc

    if not text:
        return "none"
    fields = aigc.read(text)
    if fields is None:
        return f"not a label: {text}"
    said = [_LABELS.get(fields["Label"], f"Label {fields['Label']}")]
    for key, words in (("ContentProducer", "by"), ("ContentPropagator", "passed on by")):
        if fields.get(key):
            said.append(f"{words} {fields[key]}")
    return ", ".join(said)


def _xmp(packet: bytes | None) -> str:
    from latentsync.media.marks import xmp

    if packet is None:
        return "none"
    try:
        kind = xmp.source_type(packet)
    except xmp.XmpError as error:
        return f"cannot be read: {error}"
    if kind is None:
        return "no DigitalSourceType"
    return f"DigitalSourceType {kind}{_meaning(kind)}"


def _meaning(kind: str) -> str:
    from latentsync.media.marks.xmp import MEANINGS

    return f": {MEANINGS[kind]}" if kind in MEANINGS else ""


def _c2pa(file: Path, anchors: str | None) -> Iterator[str]:
    from latentsync.media.marks.manifests import INSTALL, is_installed, read_manifest

    if not is_installed():
        yield f"C2PA     a manifest is there, but cannot be verified; {INSTALL}"
        return
    made = read_manifest(file, anchors)
    failures = [code for code in made.failures if code != "signingCredential.untrusted"]
    reasons = f" ({', '.join(failures)})" if failures else ""
    yield f"C2PA     {_STATES.get(made.state, made.state)}{reasons}"
    yield f"         signed by {made.signer}, with {made.program}; manifests: {made.count}"
    for name, kind, description in made.actions:
        about = "; ".join(part for part in (kind, description) if part)
        yield f"         {name}{': ' if about else ''}{about}"
    for title, codes in made.parents:
        bad = [code for code in codes if code != "signingCredential.untrusted"]
        yield f"         made from {title}" + (f", which is not as signed: {bad[0]}" if bad else "")
