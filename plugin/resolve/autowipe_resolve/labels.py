"""What the fields of the dialogue are called, the same in every window."""

KINDS = {"logo": "Logos", "dynamic": "Moving marks", "subtitle": "Subtitles", "watermark": "Watermarks"}
LABELS = {  # setting → name, its choices as stored and as shown
    "route": ("Way out", {"auto": "From the source where possible", "deliver": "Always through Deliver"}),
    "place": ("Result", {"above": "New clip on the track above", "take": "Take of the clip"}),
    "quality": ("Quality", {"draft": "Draft", "normal": "Normal", "best": "Best"}),
    "codec": (
        "Codec",
        {"auto": "As the source", "prores": "ProRes", "dnxhr": "DNxHR", "h264": "H.264", "hevc": "H.265"},
    ),
}
