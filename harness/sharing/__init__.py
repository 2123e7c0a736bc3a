"""Results that travel: archives and JSON documents of other labs, features of methods trained elsewhere.

Whatever comes from elsewhere is believed as far as it can be recomputed: mAP, CMC and mINP follow from the ranks of the
right answers, and these from the labels where the dataset is here. It stands beside one's own runs under a name that
says where it is from (`METHOD.from.LAB`), never among them.
"""
