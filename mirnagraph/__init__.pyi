from fusion.api import baselines as baselines
from fusion.api import cross_validate as cross_validate
from fusion.api import explain as explain
from fusion.api import fit as fit
from fusion.api import predict as predict
from fusion.api import summary as summary
from fusion.enrichment import enrich as enrich
from fusion.explain.result import Explanation as Explanation
from fusion.export.export import export_run as export_run
from fusion.export.load import load as load
from fusion.models.predict import Predictions as Predictions
from mirnagraph.dataset import Dataset as Dataset
from mirnagraph.networks.build import build_networks as build_networks
from mirnagraph.networks.network import NetworkSet as NetworkSet
from mirnagraph.networks.network import describe as describe
from mirnagraph.networks.settings import NetworkConfig as NetworkConfig
from mirnagraph.nodes import Network as Network
from mirnagraph.nodes import NodeIndex as NodeIndex
from mirnagraph.recipes.opening import load_dataset as load_dataset
from mirnagraph.runs.results import CrossValidationResult as CrossValidationResult
from mirnagraph.synthetic import demo_dataset as demo_dataset

__version__: str
