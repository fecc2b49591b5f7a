"""How the fleet does its work: what a worker process holds, and claim -> load -> infer -> persist."""
