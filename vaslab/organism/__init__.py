"""The organism: a real but tiny Qwen2.5-VL that this project trains and ships, with the two picture worlds it
lives in."""
