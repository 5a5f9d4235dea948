"""Aggregation of votes as the literature does it, for comparison with the joint fit. Needs the extra ``crowd``.

Learning in pairloop keeps every vote; nothing here takes part in a campaign.
"""
