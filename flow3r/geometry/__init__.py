"""Pure functions: rotations, rigid transforms, pinhole cameras, rigid flow, alignment."""
