"""The settings of what people and programs look at: the web page, the metrics, the log."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class PageFields(BaseModel):
    """What `Settings` inherits."""

    dashboard: bool = Field(
        default=False, description="true: `run` serves the web page as well; the demo does unless told otherwise"
    )
    dashboard_host: str = Field(
        "127.0.0.1", description="address the web page is served at; other than this host's own only with a password"
    )
    dashboard_port: int = Field(
        8780, ge=0, le=65_535, description="port of the web page, 1 to 65535; 0 for any that is free"
    )
    dashboard_password: SecretStr | None = Field(
        None, min_length=8, description="password of the web page, 8 characters at least; none on this host alone"
    )
    metrics_host: str = Field("127.0.0.1", description="address at which `run` serves metrics for Prometheus")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="port of the metrics, 1 to 65535, 0 for any that is free; none for no metrics",
    )
    log_format: Literal["auto", "human", "json"] = Field(
        "auto", description="lines of the log on standard output: human, json, or auto (human on a terminal, else json)"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
