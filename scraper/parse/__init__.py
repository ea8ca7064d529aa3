"""From answers of Reddit to rows and figures. Pure."""
