"""Files that several datasets share: images, depth maps, poses, intrinsics."""
