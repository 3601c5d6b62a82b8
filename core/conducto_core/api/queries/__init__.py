"""What every driver does alike on the host side: the local runner and the cloud's functions."""
