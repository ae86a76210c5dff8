import torch

from silr.classifiers.adamw import AdamW


def test_follows_torch_optim_step_by_step():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(7, 3, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizer = AdamW([ours], learning_rate=0.05, weight_decay=0.3, steps=20)
    reference = torch.optim.AdamW([theirs], lr=0.05, weight_decay=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, 20)
    for _ in range(20):
        target = torch.randn(7, 3, generator=generator)
        for parameter in (ours, theirs):
            ((parameter - target) ** 3).abs().sum().backward()
        optimizer.step()
        reference.step()
        schedule.step()
        reference.zero_grad()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.equal(ours, start)
    assert ours.grad is None
