"""Mutation testing: which small changes to the source does no test notice?"""
