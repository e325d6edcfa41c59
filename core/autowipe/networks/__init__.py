"""Our own networks, one file each: only torch, no files, no pictures in other forms than tensors."""
