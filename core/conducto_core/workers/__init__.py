"""Workers of the cloud: messages, pools, sizes and failures."""
