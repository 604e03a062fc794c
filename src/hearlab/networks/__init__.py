"""What every network of HearLab needs: PyTorch, a device, repeatable arithmetic, weights, checkpoints."""
