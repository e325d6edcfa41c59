"""Resolve's UIManager for the tests: windows that show nothing, and a user who acts when events are pumped.

Knows the widgets and properties that its public documentation has, and no others. As in Resolve 21, a timer never
fires inside RunLoop, and an event that nobody listens to makes StepLoop raise KeyError.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

WIDGETS = {
    "VGroup": {"ID", "Weight", "Spacing"},
    "HGroup": {"ID", "Weight", "Spacing"},
    "Label": {"ID", "Text", "Weight", "WordWrap"},
    "Button": {"ID", "Text", "Weight"},
    "ComboBox": {"ID", "Weight", "CurrentIndex", "CurrentText"},
    "CheckBox": {"ID", "Text", "Checked", "Weight"},
    "LineEdit": {"ID", "Text", "Weight"},
    "TextEdit": {"ID", "PlainText", "ReadOnly", "Weight"},
    "SpinBox": {"ID", "Value", "Minimum", "Maximum", "Weight"},
}


class Widget:
    def __init__(self, kind: str, properties: dict[str, Any], children: list[Widget]) -> None:
        assert not set(properties) - WIDGETS[kind], f"{kind} has no {set(properties) - WIDGETS[kind]}"
        self.__dict__.update(kind=kind, children=children, entries=[], values={"Value": 0, "CurrentIndex": 0})
        self.values.update(properties)

    def AddItems(self, texts: list[str]) -> None:
        assert self.kind == "ComboBox"
        self.entries.extend(texts)

    def __getattr__(self, name: str) -> Any:
        assert name in WIDGETS[self.kind], f"{self.kind} has no {name}"
        return self.values.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in WIDGETS[self.kind], f"{self.kind} has no {name}"
        self.values[name] = value

    def all(self) -> list[Widget]:
        return [self, *(below for child in self.children for below in child.all())]


class UIManager:
    def __getattr__(self, kind: str) -> Callable[..., Widget]:
        assert kind in WIDGETS, f"UIManager has no {kind}"

        def make(*given: Any) -> Widget:
            properties = next((dict(part) for part in given if isinstance(part, dict)), {})
            children = next((list(part) for part in given if isinstance(part, list)), [])
            return Widget(kind, properties, children)

        return make


class Window:
    def __init__(self, heading: dict[str, Any], content: Widget) -> None:
        assert {"ID", "WindowTitle", "Geometry"} <= set(heading)
        self.heading, self.content, self.is_shown = heading, content, False
        self.On: Any = defaultdict(SimpleNamespace)

    def GetItems(self) -> dict[str, Widget]:
        return {widget.values["ID"]: widget for widget in self.content.all() if "ID" in widget.values}

    def Show(self) -> None:
        self.is_shown = True

    def Hide(self) -> None:
        self.is_shown = False

    def words(self) -> str:
        values = [widget.values for widget in self.content.all()]
        return "\n".join(value.get("Text") or value.get("PlainText") or "" for value in values)

    def press(self, name: str, event: str = "Clicked") -> None:
        getattr(self.On[name], event)({"who": name, "what": event})


class Screen:
    """The `bmd` of a menu script, and the user in front of it: each action is called with the open window, in turn.

    What a window without a question tells is kept in `told`, and its button is pressed.
    """

    def __init__(self, *actions: Callable[[Window], Any]) -> None:
        self.actions = list(actions)
        self.told: list[str] = []
        self.windows: list[Window] = []
        self.pumps = 0

    def UIDispatcher(self, ui: UIManager) -> Screen:
        return self

    def AddWindow(self, heading: dict[str, Any], content: Widget) -> Window:
        self.windows.append(Window(heading, content))
        return self.windows[-1]

    def StepLoop(self) -> None:
        self.pumps += 1
        shown = [window for window in self.windows if window.is_shown]
        if shown and not {"Progress", "Start"} & set(shown[-1].GetItems()):
            self.told.append(shown[-1].words())
            shown[-1].press("Cancel")
        elif shown and self.actions:
            self.actions.pop(0)(shown[-1])
        assert self.pumps < 2000, "nobody presses anything any more"
        if self.pumps % 7 == 0:
            raise KeyError("On")

    def RunLoop(self) -> None:
        raise AssertionError("a script that must follow the engine cannot wait in RunLoop")
