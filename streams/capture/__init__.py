"""The capture of one stream: walks over Reddit's listings, what they prove, and the gaps they leave."""
