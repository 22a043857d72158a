"""Labelled clips out of recorded scenes: which frames, framed how, with which flow."""
