"""The methods that complete a picture, one file each: borrow.py and plate.py carry what was seen, fill.py invents."""
