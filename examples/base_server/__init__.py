"""A server of base policies over openpi's protocol."""
