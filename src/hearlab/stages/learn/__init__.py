"""The stages that train the hearing aid."""
