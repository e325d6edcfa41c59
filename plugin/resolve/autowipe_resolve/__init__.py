"""AutoWipe inside DaVinci Resolve: timeline items → jobs for the engine → cleaned clips back on the timeline.

    main      the menu commands: reach Resolve, ask, run, tell
    host      the one door to Resolve's scripting API; what the current timeline is
    pick      which timeline items: selected, between marks, of a colour, under the playhead, all
    clips     an item → its source range, and which of the two ways out it takes
    deliver   the second way out: a record range rendered by Resolve, with everything put back afterwards
    work      the run: renders, engine jobs, placing; step by step, so that a dialogue can follow and cancel
    place     a cleaned clip → the timeline, over its original, read back and verified, undone when it fails
              pool, takes, markers, edits: its parts
    records   a file beside each cleaned clip that says what it stands in for
    restore   takes results away and switches the originals on again
    check     a page of facts about this Resolve, for a report
    fronts    the dialogue in Resolve's own windows, in a window of the engine's Python, or a settings file
    settings  what the user chose, kept between runs

Python 3.6 grammar, standard library only; nothing of the engine is imported.
"""
