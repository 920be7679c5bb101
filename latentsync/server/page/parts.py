"""Pieces of the page as HTML: the files, the people in them, and what a job would take.

Whatever a user gave is escaped by `element`. Media come from the server's own routes, which answer
only to whom they belong.
"""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import capital, counted
from latentsync.server.page.words import about, facts_of, licence_of, own, said_of
from latentsync.server.views import EstimateView, ModelView, PersonView, TaskView, UploadView

ANYBODY = ""
"""Value of the choice that names no person."""


def problem(sentence: str | None) -> Markup:
    """What went wrong, where it belongs; a screen reader says it at once."""
    if not sentence:
        return Markup()
    return element("p", element("span", "!", class_="sign", aria_hidden="true"), sentence, **_ALERT)


_ALERT = {"class_": "problem", "role": "alert"}


def waiting(what: str, task: TaskView | None = None) -> Markup:
    """task: whose stage and progress are shown."""
    stage = f", {task.stage}" if task is not None and task.stage else ""
    share = f", {task.progress:.0f} %" if task is not None and task.progress else ""
    return element("p", f"{what}{stage}{share} …", class_="waiting", role="status")


def proxy_of(upload: UploadView) -> str:
    """Where browsers get it in a form that they play."""
    return own(f"/v1/uploads/{upload.id}/proxy")


def video_player(upload: UploadView) -> Markup:
    """The video or picture with its facts. The player is found by its id for a preview."""
    source = proxy_of(upload)
    if upload.kind == "picture":
        shown = element("img", src=source, alt="The picture that was given", class_="player")
    else:
        shown = element(
            "video",
            **{"id": "source-player", "class": "player", "src": source, "preload": "auto"},
            controls=True,
            playsinline=True,
            aria_label="Your video",
        )
    copy = (
        "Few browsers play this kind of video, so a copy in H.264 is shown here. The work is done "
        "on your file."
    )
    return joined(shown, named(upload), None if upload.plays else element("p", copy, class_="hint"))


def result_player(source: str) -> Markup:
    return element(
        "video", src=source, controls=True, playsinline=True, class_="player", aria_label="Result"
    )


def audio_player(upload: UploadView) -> Markup:
    source = proxy_of(upload)
    shown = element(
        "audio", src=source, controls=True, preload="metadata", aria_label="The new speech"
    )
    return joined(shown, named(upload))


def named(upload: UploadView) -> Markup:
    return element(
        "p", element("strong", upload.name), element("br"), facts_of(upload), class_="facts"
    )


def gallery(people: Sequence[PersonView], chosen: str | None) -> Markup:
    """People to click; each is a radio button, so that the keyboard chooses, too."""
    if not people:
        return element("p", "No face was found in this video.", class_="hint")
    anybody = _choice(ANYBODY, not chosen, None, "Whoever is largest", "in the video")
    cards = [
        _choice(
            one.speaker,
            one.speaker == chosen,
            element("img", src=own(one.portrait), alt=f"Person {number}"),
            f"Person {number}",
            said_of(one),
        )
        for number, one in enumerate(people, 1)
    ]
    title = "1 person found" if len(people) == 1 else f"{len(people)} people found"
    return element(
        "fieldset", element("legend", title), element("div", anybody, *cards, class_="people")
    )


def _choice(value: str, chosen: bool, picture: Markup | None, title: str, about_it: str) -> Markup:
    radio = element("input", type="radio", name="person", value=value, checked=chosen)
    blank = element("span", "☺", class_="nobody", aria_hidden="true")
    words = element("span", element("strong", title), element("span", about_it, class_="hint"))
    return element("label", radio, picture or blank, words, class_="person")


def estimated(view: EstimateView) -> Markup:
    """Time, faces, and what would be fetched."""
    frames = f" for {counted(view.frames, 'frame')}" if view.frames else ""
    time = f"{about(view.seconds).capitalize()}{frames} on this machine." if view.seconds else None
    found, sampled = view.faces
    faces = f"A face was found in {found} of {counted(sampled, 'frame')} that were looked at."
    return joined(
        element("p", time or "How long it takes is not known.", class_="figure"),
        element("p", faces, class_="hint") if sampled else None,
        element("p", capital(view.note), class_="hint") if view.note else None,
        fetched(view.missing) if view.missing else None,
    )


def fetched(models: Sequence[ModelView]) -> Markup:
    rows = [element("li", licence_of(one), *_where(one)) for one in models]
    title = "Fetched once, before it starts:"
    return joined(element("p", title), element("ul", *rows, class_="models"))


def _where(model: ModelView) -> tuple[Markup | str, ...]:
    link = element("a", "the licence", href=model.licence_url, target="_blank", rel="noreferrer")
    source = f" from {model.source}" if model.source else ""
    return (source, ", ", link) if model.licence_url else (source,)
