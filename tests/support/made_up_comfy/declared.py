"""Stand-ins of comfy_api.latest's declarations: io, ui and ComfyExtension."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

COMMON = {"display_name", "optional", "tooltip", "lazy"}
WIDGET = COMMON | {"default", "socketless"}
KINDS = {
    "Video": COMMON,
    "Audio": COMMON,
    "Image": COMMON,
    "Boolean": WIDGET | {"label_on", "label_off"},
    "Int": WIDGET | {"min", "max", "step"},
    "Float": WIDGET | {"min", "max", "step", "round"},
    "String": WIDGET | {"multiline", "placeholder"},
    "Combo": WIDGET | {"options"},
}
"""Type -> the keywords of its inputs that the nodes may use in every version."""


class Output:
    def __init__(self, id: str, display_name: str | None = None, tooltip: str | None = None):
        self.id, self.display_name, self.tooltip = id, display_name, tooltip


class Schema:
    def __init__(
        self,
        node_id: str,
        display_name: str,
        category: str,
        inputs: list[Any],
        outputs: list[Output],
        description: str = "",
        is_output_node: bool = False,
    ) -> None:
        self.node_id, self.display_name, self.category = node_id, display_name, category
        self.inputs, self.outputs, self.description = inputs, outputs, description
        self.is_output_node = is_output_node
        ids = [one.id for one in inputs]
        assert len(ids) == len(set(ids)), f"an id twice in {ids}"


class NodeOutput:
    def __init__(self, *values: Any, ui: Any = None) -> None:
        self.result, self.ui = values, ui


class ComfyNode:
    @classmethod
    def declared(cls) -> Schema:
        """As ComfyUI asks for it."""
        return cls.define_schema()  # type: ignore[attr-defined]


class ComfyExtension:
    pass


class SavedResult(dict):
    def __init__(self, filename: str, subfolder: str, type: str) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=type)


def _input(kind: str, keywords: set[str], folds: bool) -> type:
    """The class of a type's inputs. folds: whether it knows ``advanced``."""

    class Plain:
        io_type = kind.upper()

        def __init__(self, id: str, **given: Any) -> None:
            unknown = given.keys() - keywords - {"advanced"}
            if unknown:
                raise TypeError(f"__init__() got an unexpected keyword argument {unknown.pop()}")
            self.id, self.given = id, given

    class Old(Plain):
        def __init__(self, id: str, **given: Any) -> None:
            if "advanced" in given:
                raise TypeError("__init__() got an unexpected keyword argument 'advanced'")
            super().__init__(id, **given)

    class New(Plain):
        def __init__(self, id: str, advanced: bool | None = None, **given: Any) -> None:
            super().__init__(id, advanced=advanced, **given)

    return New if folds else Old


def io_module(*, folds: bool) -> ModuleType:
    module: Any = ModuleType("comfy_api.latest.io")
    for kind, keywords in KINDS.items():
        parts = SimpleNamespace(Input=_input(kind, keywords, folds), Output=Output)
        setattr(module, kind, parts)
    module.Schema, module.NodeOutput, module.ComfyNode = Schema, NodeOutput, ComfyNode
    module.Input, module.Output = object, Output
    module.FolderType = SimpleNamespace(temp="temp")
    return module


def ui_module() -> ModuleType:
    module: Any = ModuleType("comfy_api.latest.ui")
    module.SavedResult = SavedResult
    module.PreviewVideo = lambda values: SimpleNamespace(kind="video", values=values)
    module.PreviewText = lambda value: SimpleNamespace(kind="text", value=value)
    module.PreviewImage = lambda image, cls=None: SimpleNamespace(kind="image", image=image)
    return module
