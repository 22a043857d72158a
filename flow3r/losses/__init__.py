"""The objective: 3D losses on labelled clips, the flow loss on every clip with flow."""
