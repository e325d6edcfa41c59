"""The methods that complete a picture, one file each: borrow.py carries seen pixels over, fill.py invents."""
