"""SPADE / GauGAN in Keras 3 and TensorFlow.

Semantic image synthesis with spatially-adaptive normalization (Park et al., CVPR 2019,
https://arxiv.org/abs/1903.07291). The library knows tensors: never a configuration object, a
flag or the name of a data set.
"""

__version__ = "0.1.0"
