"""Many clips at once: everything that a timeline or a list of files uses, cleaned by engines side by side.

gather    timelines and files → the parts of media that they use
relink    finds media that have moved
queue     what is done, on disk, so that a killed batch goes on
engines   one engine process
local     engines side by side on this machine
farm      the same on a cluster
summary   the page and the figures
run       all of it, in order: `run.run(request, send, cancelled)`
"""
