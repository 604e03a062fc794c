"""Workers: the groups in which units go to them, and those that are processes of this machine."""
