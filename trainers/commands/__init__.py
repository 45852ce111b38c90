"""The sub-commands of `avar`: options read off the run configs, and thin functions behind them."""
