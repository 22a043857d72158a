"""The field's labelled datasets in the layouts they are downloaded in: one file each."""
