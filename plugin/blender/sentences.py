"""Draws a text in as many lines as fit the region: a label of Blender's is cut off instead."""
# SPDX-License-Identifier: GPL-3.0-or-later

import bpy


def draw(layout, text, icon="NONE", share=1.0):
    """A text in lines that fit `share` of the region's width; the icon stands before the first."""
    scale = bpy.context.preferences.system.ui_scale
    width = max(20, int((share * bpy.context.region.width / scale - 70) / 6.4))  # letters
    column = layout.column(align=True)
    for index, line in enumerate(lines(text, width)):
        column.label(text=line, icon=icon if index == 0 else "NONE")


def lines(text, width):
    """The text in lines of at most `width` letters; what is longer without a space, such as a path, is broken."""
    found = []
    for word in text.split():
        if found and len(found[-1]) + 1 + len(word) <= width:
            found[-1] += " " + word
        else:
            found += [word[i : i + width] for i in range(0, len(word), width)]
    return found
