"""What commands share: configurations, workdirs, and how both become data sets and models."""
