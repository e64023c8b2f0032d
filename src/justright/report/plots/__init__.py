"""Pictures of a profile: their data, as text, as SVG and for plotly."""
