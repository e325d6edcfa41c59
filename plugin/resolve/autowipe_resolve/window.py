"""A small window outside Resolve, run by the engine's Python: asks for settings, shows progress, takes a cancel.

Resolve's own Python may have no Tk. So the adapter starts this file as a process of its own and talks to it in lines
of JSON: in come {"ask": offer}, {"show": text, "share": 0..1} and {"tell": text}, out go {"ready": true}, {"settings":
{...}}, {"cancel": true} and {"ok": true}. The end of the input closes the window.
"""

import json
import queue
import sys
import threading
import tkinter
from tkinter import filedialog, ttk

from labels import KINDS, LABELS  # beside this file, which runs as a script


class Window:
    def __init__(self, root):
        self.root = root
        self.lines = queue.Queue()
        root.title("AutoWipe")
        root.protocol("WM_DELETE_WINDOW", self.cancel)
        self.body = ttk.Frame(root, padding=14)
        self.body.pack(fill="both", expand=True)
        self.bar = self.text = None
        threading.Thread(target=self._read, daemon=True).start()
        self.say({"ready": True})
        self._poll()

    def _read(self):
        for line in sys.stdin:
            self.lines.put(line)
        self.lines.put(None)

    def _poll(self):
        while True:
            try:
                line = self.lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self.root.destroy()
                return
            message = json.loads(line)
            if "ask" in message:
                self.ask(message["ask"])
            elif "show" in message:
                self.show(message["show"], message.get("share", 0))
            elif "tell" in message:
                self.tell(message["tell"])
        self.root.after(100, self._poll)

    def say(self, message):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def cancel(self):
        self.say({"cancel": True})

    def clear(self):
        for child in self.body.winfo_children():
            child.destroy()
        self.bar = self.text = None

    def ask(self, offer):
        self.clear()
        self.root.title(offer["title"])
        settings, picks = offer["settings"], offer["picks"]
        row = 0
        way = ttk.Combobox(self.body, values=[pick["text"] for pick in picks], state="readonly", width=46)
        way.current(0)
        lines = tkinter.Text(self.body, height=8, width=70, wrap="word", relief="flat", padx=6, pady=6)

        def show_lines(_=None):
            lines.configure(state="normal")
            lines.delete("1.0", "end")
            lines.insert("end", "\n".join(picks[way.current()]["lines"]))
            lines.configure(state="disabled")

        way.bind("<<ComboboxSelected>>", show_lines)
        show_lines()
        self._row(row, "Clips", way)
        lines.grid(row=row + 1, column=0, columnspan=2, sticky="nsew", pady=(2, 10))
        self.body.rowconfigure(row + 1, weight=1)
        self.body.columnconfigure(1, weight=1)
        row += 2
        kinds = ttk.Frame(self.body)
        boxes = {}
        for kind, label in KINDS.items():
            boxes[kind] = tkinter.BooleanVar(value=kind in settings["kinds"])
            ttk.Checkbutton(kinds, text=label, variable=boxes[kind]).pack(side="left", padx=(0, 10))
        self._row(row, "Remove", kinds)
        fields = {}
        for name, (label, choices) in LABELS.items():
            row += 1
            box = ttk.Combobox(self.body, values=list(choices.values()), state="readonly", width=46)
            box.current(list(choices).index(settings[name]))
            fields[name] = (box, list(choices))
            self._row(row, label, box)
        handles = tkinter.IntVar(value=settings["handles"])
        row += 1
        self._row(row, "Handles", ttk.Spinbox(self.body, from_=0, to=1000, textvariable=handles, width=8), "w")
        extras = ttk.Frame(self.body)
        switches = {}
        for name, label in (("markers", "Markers where overlays were"), ("subtitles", "Subtitles as text")):
            switches[name] = tkinter.BooleanVar(value=settings[name])
            ttk.Checkbutton(extras, text=label, variable=switches[name]).pack(side="left", padx=(0, 10))
        row += 1
        self._row(row, "Also", extras)
        folder = tkinter.StringVar(value=settings["folder"])
        place = ttk.Frame(self.body)
        ttk.Entry(place, textvariable=folder, width=40).pack(side="left", fill="x", expand=True)

        def choose():
            folder.set(filedialog.askdirectory(initialdir=folder.get() or None) or folder.get())

        ttk.Button(place, text="Choose…", command=choose).pack(side="left", padx=(6, 0))
        row += 1
        self._row(row, "Cleaned clips in", place)

        def start():
            given = {name: values[box.current()] for name, (box, values) in fields.items()}
            given.update({name: switch.get() for name, switch in switches.items()})
            given.update(kinds=[kind for kind, box in boxes.items() if box.get()], folder=folder.get())
            given.update(handles=_whole(handles), way=picks[way.current()]["way"])
            self.show("Starting", 0)
            self.say({"settings": given})

        buttons = ttk.Frame(self.body)
        ttk.Button(buttons, text="Cancel", command=self.cancel).pack(side="right")
        ttk.Button(buttons, text="Remove overlays", command=start).pack(side="right", padx=(0, 8))
        buttons.grid(row=row + 1, column=0, columnspan=2, sticky="e", pady=(12, 0))

    def _row(self, row, label, widget, sticky="ew"):
        ttk.Label(self.body, text=label).grid(row=row, column=0, sticky="w", padx=(0, 12), pady=2)
        widget.grid(row=row, column=1, sticky=sticky, pady=2)

    def show(self, text, share):
        if self.bar is None:
            self.clear()
            self.text = ttk.Label(self.body, text=text, width=64, wraplength=460)
            self.text.pack(anchor="w")
            self.bar = ttk.Progressbar(self.body, maximum=1.0, length=460)
            self.bar.pack(fill="x", pady=10)
            ttk.Button(self.body, text="Cancel", command=self.cancel).pack(anchor="e")
        self.text.configure(text=text)
        self.bar.configure(value=share)

    def tell(self, text):
        self.clear()
        ttk.Label(self.body, text=text, wraplength=460).pack(anchor="w")
        ttk.Button(self.body, text="OK", command=lambda: self.say({"ok": True})).pack(anchor="e", pady=(12, 0))


def _whole(variable):
    try:
        return max(0, int(variable.get()))
    except (tkinter.TclError, ValueError):
        return 0


def main():
    root = tkinter.Tk()
    Window(root)
    root.mainloop()


if __name__ == "__main__":
    main()
