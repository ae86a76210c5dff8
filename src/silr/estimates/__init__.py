"""Numbers that can be published: shares, differences and quality of labels, with intervals that hold."""
