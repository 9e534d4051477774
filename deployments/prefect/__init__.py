"""What is asked of Prefect's server, whoever runs it."""
